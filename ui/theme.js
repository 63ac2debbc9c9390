// Before the first paint: the theme somebody chose, if any. The rest follows the system.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is refused: the system's theme stays.
}
