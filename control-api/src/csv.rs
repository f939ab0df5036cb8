//! Tables for people's spreadsheets: RFC 4180, and nothing in them that a spreadsheet would run.

/// Adds a record, CR LF included.
pub(crate) fn push_record<'a>(to: &mut String, fields: impl IntoIterator<Item = &'a str>) {
    for (n, field) in fields.into_iter().enumerate() {
        if n > 0 {
            to.push(',');
        }
        push_field(to, field);
    }
    to.push_str("\r\n");
}

/// A value that begins like a formula gets an apostrophe in front, which spreadsheets take for "this is text" and our
/// import takes off again (OWASP, CSV injection).
fn push_field(to: &mut String, field: &str) {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quoted = field.contains([',', '"', '\n', '\r']);
    if quoted {
        to.push('"');
    }
    if formula {
        to.push('\'');
    }
    if quoted {
        to.push_str(&field.replace('"', "\"\""));
        to.push('"');
    } else {
        to.push_str(field);
    }
}

/// A file's name in `Content-Disposition`, without what breaks the header.
pub(crate) fn attachment(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ') { c } else { '_' })
        .take(100)
        .collect();
    format!("attachment; filename=\"{plain}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_in_a_spreadsheet() {
        let mut text = String::new();
        push_record(&mut text, ["+14155550100", "=1+1", "a,b", "say \"x\"", "-2", "@x", "\tx", "plain", ""]);
        assert_eq!(text, "'+14155550100,'=1+1,\"a,b\",\"say \"\"x\"\"\",'-2,'@x,'\tx,plain,\r\n");
        text.clear();
        push_record(&mut text, ["=A1,\n"]);
        assert_eq!(text, "\"'=A1,\n\"\r\n");
        assert_eq!(attachment("May \"2026\"\r\nx.csv"), "attachment; filename=\"May _2026___x.csv\"");
    }
}
