/** Lines of CSV. A cell that a spreadsheet would run as a formula is made text. */
export function csvOf(rows: (string | number)[][]): string {
	return rows.map((row) => row.map(cell).join(',') + '\r\n').join('');
}

function cell(value: string | number): string {
	if (typeof value === 'number') return String(value);
	const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
	return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The columns that the first line of a file names, by the separator that it has most of. */
export function headerOf(text: string): string[] {
	const line =
		text
			.replace(/^\uFEFF/, '')
			.split(/\r\n|\n|\r/)
			.find((l) => l.trim()) ?? '';
	const count = (s: string) => line.split(s).length;
	const separator = [',', ';', '\t'].reduce((best, s) => (count(s) > count(best) ? s : best));
	const fields: string[] = [];
	let field = '';
	let quoted = false;
	for (let i = 0; i < line.length; i++) {
		const c = line[i];
		if (quoted && c === '"' && line[i + 1] === '"') {
			field += c;
			i++;
		} else if (c === '"') quoted = !quoted;
		else if (c === separator && !quoted) {
			fields.push(field);
			field = '';
		} else field += c;
	}
	return [...fields, field].map((name) => name.trim());
}

/** Hands a file to the browser's downloads. */
export function saveAs(blob: Blob, name: string): void {
	const url = URL.createObjectURL(blob);
	const link = document.createElement('a');
	link.href = url;
	link.download = name;
	link.click();
	URL.revokeObjectURL(url);
}
