"use strict";
(() => {
  const EVERY = 2000, LONGEST = 20000; // milliseconds between questions to the server
  const root = document.documentElement;
  const at = (id) => document.getElementById(id);
  const parts = (page) => [...page.querySelectorAll("[data-part]")];
  const seen = new Map(parts(document).map((part) => [part.dataset.part, part.innerHTML]));
  let state = root.dataset.state, answered = Date.now(), failures = 0, timer = 0;

  // the theme is kept from page to page
  try {
    const kept = localStorage.getItem("theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
    at("theme").addEventListener("click", () =>
      setTimeout(() => localStorage.setItem("theme", root.dataset.theme)));
  } catch { /* storage may be forbidden */ }

  // following: ask for this page again, swap the parts that have changed
  const ask = async () => {
    clearTimeout(timer);
    let answer = null, text = "";
    try {
      answer = await fetch(location.href, {
        headers: { "If-None-Match": `"${state}"` }, cache: "no-store", signal: AbortSignal.timeout(15000),
      });
      if (answer.ok) text = await answer.text();
    } catch { answer = null; }
    plan();
    if (answer === null) failed();
    else if (answer.status === 404) lost(`This run is no longer there. The page shows it as it was at ${clock()}.`);
    else if (answer.status === 403) lost("This address is no longer valid: the server was started anew. Open the address it printed.");
    else if (answer.ok || answer.status === 304) alive();
    else failed();
    if (!text) return;
    const page = new DOMParser().parseFromString(text, "text/html");
    if (update(page)) state = page.documentElement.dataset.state;
  };
  const plan = () => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, Math.min(EVERY * 2 ** Math.max(0, failures - 2), LONGEST));
  };
  const clock = () => new Date(answered).toLocaleTimeString();
  const alive = () => {
    failures = 0;
    answered = Date.now();
    at("banner").hidden = true;
    at("following").className = "following";
    at("following").textContent = "following";
  };
  const failed = () => {
    failures += 1;
    if (failures > 1) lost(`The server does not answer. The page shows what was known at ${clock()}; it goes on by itself when the server is back.`);
  };
  const lost = (why) => {
    failures = Math.max(failures, 2);
    at("banner").textContent = why;
    at("banner").hidden = false;
    at("following").className = "following lost";
    at("following").textContent = "not following";
  };
  document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : ask());

  const update = (page) => {
    const chosen = getSelection();
    if (chosen && !chosen.isCollapsed && at("main").contains(chosen.anchorNode)) return false; // somebody is copying
    const anchor = anchored();
    document.title = page.title;
    for (const part of parts(page)) {
      const here = document.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
      if (!here || seen.get(part.dataset.part) === part.innerHTML) continue;
      seen.set(part.dataset.part, part.innerHTML);
      swap(here, part);
    }
    if (at("tools") && page.getElementById("tools")) at("tools").hidden = page.getElementById("tools").hidden;
    arrange();
    times();
    if (anchor && anchor.node.isConnected) scrollBy(0, anchor.node.getBoundingClientRect().top - anchor.top);
    return true;
  };
  const anchored = () => {
    const node = parts(document).find((part) => part.getBoundingClientRect().bottom > 60);
    return node && { node, top: node.getBoundingClientRect().top };
  };
  const keyed = (part) => {
    const count = new Map();
    return [...part.querySelectorAll("details")].map((it) => {
      const name = it.dataset.key || it.querySelector("summary")?.firstElementChild?.textContent || it.textContent.trim().split("\n")[0];
      count.set(name, (count.get(name) || 0) + 1);
      return [`${name}#${count.get(name)}`, it];
    });
  };
  const swap = (here, part) => {
    const open = new Map(keyed(here).filter(([, it]) => it.open));
    const boxes = ".scroll, .plot";
    const scrolled = [...here.querySelectorAll(boxes)].map((box) => box.scrollLeft);
    const focus = here.contains(document.activeElement) ? document.activeElement.id : "";
    const picked = new Set([...here.querySelectorAll("input:checked")].map((box) => box.id));
    here.replaceChildren(...[...part.childNodes].map((node) => document.adoptNode(node)));
    for (const [key, it] of keyed(here)) {
      const before = open.get(key);
      if (!before) continue;
      const old = before.querySelector(".lazy"), fresh = it.querySelector(".lazy");
      if (old && fresh) fresh.replaceChildren(...old.childNodes);
      it.open = true; // its toggle event loads the plot anew
    }
    here.querySelectorAll(boxes).forEach((box, i) => { if (scrolled[i]) box.scrollLeft = scrolled[i]; });
    for (const id of picked) if (at(id)) at(id).checked = true;
    if (focus && at(focus)) at(focus).focus({ preventScroll: true });
  };

  // plots of single series are fetched when they are opened
  document.addEventListener("toggle", async (event) => {
    const it = event.target;
    if (!it.open || !it.dataset?.src) return;
    try {
      const answer = await fetch(it.dataset.src, { cache: "no-store" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      it.querySelector(".lazy").replaceChildren(...[...page.body.childNodes].map((n) => document.adoptNode(n)));
    } catch { /* the banner says so */ }
  }, true);

  // how long ago
  const ago = (seconds) => {
    const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
    const [size, name] = units.find(([size]) => seconds >= size) || [1, "second"];
    const count = Math.max(0, Math.floor(seconds / size));
    return count < 2 && size === 1 ? "just now" : `${count} ${name}${count === 1 ? "" : "s"} ago`;
  };
  const times = () => {
    for (const time of document.querySelectorAll("time[data-at]")) {
      const then = Number(time.dataset.at);
      const told = then > 0 ? ago(Date.now() / 1000 - then) : "";
      if (time.textContent !== told) time.textContent = told;
      const whole = then > 0 ? new Date(1000 * then).toLocaleString() : "";
      if (time.title !== whole) time.title = whole;
    }
  };
  setInterval(times, 1000);

  // the list of runs: sorted by a click, filtered by a word, two of them chosen
  let sorted = null, word = "";
  const arrange = () => {
    const table = document.querySelector("table[data-sortable]");
    if (!table) return;
    const body = table.tBodies[0];
    if (sorted) {
      const head = table.tHead.rows[0].cells[sorted.column];
      const value = (row) => {
        const cell = row.cells[sorted.column];
        return head.dataset.sort === "number" ? Number(cell.dataset.value) : cell.textContent.trim();
      };
      const order = (a, b) => head.dataset.sort === "number"
        ? value(a) - value(b) : value(a).localeCompare(value(b), undefined, { numeric: true });
      const rows = [...body.rows].map((row, i) => [row, i]);
      rows.sort(([a, i], [b, j]) => sorted.sign * order(a, b) || i - j);
      body.append(...rows.map(([row]) => row));
      for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sorted.sign > 0 ? "ascending" : "descending");
    }
    for (const row of body.rows) row.hidden = !!word && !row.textContent.toLowerCase().includes(word);
    choose();
  };
  const choose = () => {
    const button = at("compare");
    if (!button) return;
    const picked = [...document.querySelectorAll("table[data-sortable] input:checked")];
    button.disabled = picked.length !== 2;
    button.dataset.query = picked.length === 2 ? `?a=${picked[0].value}&b=${picked[1].value}` : "";
  };
  document.addEventListener("click", (event) => {
    const head = event.target.closest("th[data-sort]");
    if (head) {
      const column = head.cellIndex, now = head.getAttribute("aria-sort");
      const sign = now ? (now === "ascending" ? -1 : 1) : (head.dataset.sort === "number" ? -1 : 1);
      sorted = { column, sign };
      arrange();
    }
    if (event.target.id === "compare" && event.target.dataset.query) location.href = event.target.dataset.to + event.target.dataset.query;
  });
  document.addEventListener("change", (event) => {
    if (event.target.closest("table[data-sortable]")) choose();
  });
  at("filter")?.addEventListener("input", (event) => {
    word = event.target.value.trim().toLowerCase();
    arrange();
  });

  // what lies under the pointer, read back from the drawing itself
  const axis = (text) => {
    const [start, end, low, high, log] = text.split(" ").map(Number);
    return (pixel) => {
      const share = (pixel - start) / (end - start);
      return log ? 10 ** (Math.log10(low) + share * (Math.log10(high) - Math.log10(low))) : low + share * (high - low);
    };
  };
  const told = (value) => {
    if (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6)) return Number(value.toPrecision(4)).toLocaleString("en");
    return value.toExponential(2).replace("e+", "e");
  };
  const points = new WeakMap();
  const pointsOf = (line) => {
    if (!points.has(line)) {
      const text = line.getAttribute("d") || line.getAttribute("points");
      points.set(line, (text.match(/-?[\d.]+[ ,]-?[\d.]+/g) || []).map((p) => p.split(/[ ,]/).map(Number)));
    }
    return points.get(line);
  };
  const nearest = (line, x) => {
    let best = null;
    for (const [px] of line) if (best === null || Math.abs(px - x) < Math.abs(best - x)) best = px;
    return best;
  };
  const labels = (svg) => [...(svg.closest("figure")?.querySelectorAll(".legend li span") || [])].map((li) => li.textContent);
  const onLines = (svg, x, y, toY) => {
    const names = labels(svg), found = [];
    let at = null;
    for (const line of svg.querySelectorAll("path.line")) {
      const all = pointsOf(line), px = nearest(all, x);
      if (px === null || Math.abs(px - x) > 40) continue;
      const values = all.filter(([a]) => a === px).map(([, b]) => toY(b));
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const which = Number(/\bs(\d)\b/.exec(line.getAttribute("class"))?.[1] ?? 0);
      const text = told(low) === told(high) ? told(low) : `${told(low)} to ${told(high)}`;
      found.push([which, `${names[which] ? names[which] + ": " : ""}${text}`]);
      if (at === null || Math.abs(px - x) < Math.abs(at - x)) at = px;
    }
    return [at, found.sort((a, b) => a[0] - b[0]).map(([, text]) => text)];
  };
  const onAreas = (svg, x, y, toY) => {
    const names = labels(svg), found = [];
    let at = null;
    for (const area of svg.querySelectorAll("polygon.area")) {
      const all = pointsOf(area), half = all.slice(0, all.length / 2), px = nearest(half, x);
      if (px === null || Math.abs(px - x) > 40) continue;
      const i = half.findIndex(([a]) => a === px);
      const which = Number(/\ba(\d)\b/.exec(area.getAttribute("class"))?.[1] ?? 0);
      found.push(`${names[which] || ""}: ${told(100 * (toY(all[i][1]) - toY(all[all.length - 1 - i][1])))} %`);
      at = px;
    }
    return [at, found];
  };
  const onCells = (svg, x, y, toY, target) => {
    const rows = svg.dataset.rows.split("\n"), [low, high, count] = svg.dataset.levels.split(" ").map(Number);
    const [top, bottom] = svg.dataset.y.split(" ").map(Number);
    if (y < top || y >= bottom) return [null, []];
    const name = rows[Math.floor(((y - top) / (bottom - top)) * rows.length)] || "";
    const level = /\bh(\d+)\b/.exec(target.getAttribute("class") || "");
    const edge = (i) => told(10 ** (Math.log10(low) + (i / count) * (Math.log10(high) - Math.log10(low))));
    const kind = target.classList.contains("zero-cell") ? "zero" : target.classList.contains("hole") ? "not finite" : "no reading";
    return [x, [name, level ? `${edge(+level[1])} to ${edge(+level[1] + 1)}` : kind]];
  };
  const hide = () => {
    at("reading").hidden = true;
    document.querySelector(".cross")?.remove();
  };
  document.addEventListener("pointermove", (event) => {
    const svg = event.target.closest?.("svg[data-x]");
    document.querySelector(".cross")?.remove();
    if (!svg) return hide();
    const to = svg.getScreenCTM().inverse();
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(to);
    const [left, right] = svg.dataset.x.split(" ").map(Number);
    const [start, end] = svg.dataset.y.split(" ").map(Number);
    if (x < left - 2 || x > right + 2) return hide();
    const look = svg.dataset.rows ? onCells : svg.querySelector(".area") ? onAreas : onLines;
    const [px, lines] = look(svg, x, y, axis(svg.dataset.y), event.target);
    if (px === null || !lines.length) return hide();
    const box = at("reading"), step = Math.max(0, Math.round(axis(svg.dataset.x)(px)));
    box.textContent = `step ${step.toLocaleString("en")}\n${lines.join("\n")}`;
    box.hidden = false;
    const wide = box.offsetWidth, high = box.offsetHeight;
    box.style.left = `${Math.max(4, event.clientX + 16 + wide > innerWidth ? event.clientX - wide - 16 : event.clientX + 16)}px`;
    box.style.top = `${Math.max(4, Math.min(event.clientY + 16, innerHeight - high - 4))}px`;
    const cross = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({ x1: px, x2: px, y1: Math.min(start, end), y2: Math.max(start, end), class: "cross" })) cross.setAttribute(key, value);
    svg.append(cross);
  });
  document.addEventListener("pointerleave", hide);

  times();
  arrange();
  plan();
})();
