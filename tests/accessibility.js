// What a page owes to people who read it without eyes, without a mouse, or with weak eyes.
// Returns a list of sentences, empty if nothing is wrong. Rules: WCAG 2.2 A and AA, as far as a
// program can tell (1.1.1, 1.3.1, 1.4.3, 2.4.1, 2.4.2, 2.4.4, 2.4.6, 3.1.1, 4.1.2).
(() => {
  const found = [];
  const seen = (e) => e.checkVisibility ? e.checkVisibility() : e.offsetParent !== null;
  const text = (e) => (e.textContent || "").trim();
  const named = (e) => {
    const by = e.getAttribute("aria-labelledby");
    if (by) return by.split(/\s+/).map((id) => document.getElementById(id)).filter(Boolean).map(text).join(" ");
    return e.getAttribute("aria-label") || e.getAttribute("alt") || text(e) || e.getAttribute("title") || "";
  };
  const where = (e) => `<${e.tagName.toLowerCase()}${e.id ? " #" + e.id : ""}> ${text(e).slice(0, 40)}`;

  if (!document.documentElement.lang) found.push("the page has no language");
  if (!document.title) found.push("the page has no title");
  const zoom = document.querySelector("meta[name=viewport]")?.content || "";
  if (/user-scalable=no|maximum-scale=1(\D|$)/.test(zoom)) found.push("the page forbids zooming");
  if (document.querySelectorAll("main, [role=main]").length !== 1) found.push("not one main part");

  const ids = new Map();
  for (const e of document.querySelectorAll("[id]")) ids.set(e.id, (ids.get(e.id) || 0) + 1);
  for (const [id, count] of ids) if (count > 1) found.push(`id ${id} is given ${count} times`);
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
    for (const name of ["aria-labelledby", "aria-describedby"])
      for (const id of (e.getAttribute(name) || "").split(/\s+/).filter(Boolean))
        if (!ids.has(id)) found.push(`${where(e)}: ${name} points at ${id}, which is not there`);

  for (const e of document.querySelectorAll("a[href], button, summary, input, select, img, [role=img], [role=region], nav"))
    if (!named(e) && e.getAttribute("alt") !== "") found.push(`${where(e)} has no name`);
  for (const e of document.querySelectorAll("a[href^='#']"))
    if (!ids.has(decodeURIComponent(e.getAttribute("href").slice(1)))) found.push(`${where(e)} leads nowhere`);
  for (const e of document.querySelectorAll("svg"))
    if (e.getAttribute("role") !== "img" && e.getAttribute("aria-hidden") !== "true") found.push(`${where(e)} is neither an image nor hidden`);

  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const now = Number(e.tagName[1]);
    if (!text(e)) found.push("a heading is empty");
    if (now > level + 1) found.push(`${where(e)} follows a heading of level ${level}`);
    level = now;
  }
  if (document.querySelectorAll("h1").length !== 1) found.push("not one heading of level 1");

  for (const table of document.querySelectorAll("table")) {
    if (!named(table)) found.push("a table has no name");
    if (!table.querySelector("thead th[scope=col]")) found.push(`${where(table)} has no column heads`);
    for (const row of table.querySelectorAll("tbody tr"))
      if (!row.querySelector("th[scope=row]")) { found.push(`${where(row)} has no row head`); break; }
  }
  for (const e of document.querySelectorAll("*")) {  // what scrolls is reached by keys
    const style = getComputedStyle(e);
    if (/auto|scroll/.test(style.overflowX) && e.scrollWidth > e.clientWidth + 1 && seen(e)
        && e.tabIndex < 0 && !e.querySelector("a[href], button, [tabindex='0']"))
      found.push(`${where(e)} scrolls and cannot be reached by keys`);
  }

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const light = (c) => {
    const [r, g, b] = c.map((x) => x / 255).map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const known = new Map();
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !seen(e) || e.closest(".skip, script, style")) continue;
    const style = getComputedStyle(e), inside = e.closest("svg");
    const under = paper(inside ? inside.parentElement : e);
    const ink = over(rgba(inside ? style.fill : style.color), under);
    const [low, high] = [light(ink), light(under)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const key = `${ink}|${under}`;
    if (ratio < least - 0.01 && !known.has(key)) {
      known.set(key, 1);
      found.push(`${where(e)}: contrast ${ratio.toFixed(2)}, needed ${least}`);
    }
  }
  return found;
})()
