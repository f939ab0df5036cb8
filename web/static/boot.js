// Runs before the first paint, so that a chosen theme or language does not flash.
(function () {
	try {
		var theme = localStorage.getItem('kraliki.theme');
		var language = localStorage.getItem('kraliki.language');
		if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
		if (language) document.documentElement.lang = language;
	} catch {
		// Storage may be refused; the defaults hold.
	}
})();
