//! A list of people who do not exist: numbers 555-0100 to 555-0199 are kept for fiction in every North American area.

const FIRST: [&str; 12] =
    ["Ada", "Ben", "Carla", "David", "Ema", "Filip", "Grace", "Hugo", "Iva", "Jan", "Klara", "Luis"];
const LAST: [&str; 11] =
    ["Adams", "Blanco", "Cerny", "Dvorak", "Ellis", "Fuentes", "Green", "Horak", "Ibarra", "Jones", "Kral"];
/// Fictional numbers in an area.
const PER_AREA: u32 = 100;
/// Areas 201 to 989, without those that end in 11.
const AREAS: u32 = 780;

/// The most leads there can be.
pub(super) const MOST: u32 = AREAS * PER_AREA;

/// A CSV list with so many leads.
pub(super) fn csv(leads: u32) -> String {
    let mut text = String::from("phone,first_name,last_name,time_zone,city\n");
    let areas: Vec<u32> = (201..=989).filter(|area| area % 100 != 11).collect();
    for lead in 0..leads {
        // One area after the other, so that neighbours on the list live apart.
        let area = areas.get(lead as usize % areas.len()).copied().unwrap_or(201);
        let number = lead / areas.len() as u32 % PER_AREA;
        let first = FIRST.get(lead as usize % FIRST.len()).copied().unwrap_or_default();
        let last = LAST.get(lead as usize % LAST.len()).copied().unwrap_or_default();
        text.push_str(&format!(
            "+1{area}55501{number:02},{first},{last},America/New_York,Springfield {area}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_fictional() {
        let text = csv(MOST);
        let mut phones: Vec<&str> = text.lines().skip(1).filter_map(|l| l.split(',').next()).collect();
        assert!(phones.iter().all(|p| p.len() == 12 && p.contains("55501")));
        phones.sort_unstable();
        phones.dedup();
        assert_eq!(phones.len(), MOST as usize);
    }
}
