"use strict";
// Everything is there without this script: it sorts, filters, unfolds, and shows or hides what is drawn.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const form = document.getElementById("filters");
  const say = (text) => { document.getElementById("status").textContent = text; };
  const blocks = all(".block").map((section) => ({
    section,
    bodies: all("tbody[data-recipe]", section),
    heads: all("th[data-key]", section),
    panels: all(".panel", section),
    strips: all(".strip[data-recipe]", section),
  }));
  const drawn = new Map(); // recipe: whether its curves are wanted
  let sorted = { key: "", descending: true };

  function asButton(element, text) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = element.className;
    button.append(...element.childNodes);
    if (text) button.setAttribute("aria-label", text);
    element.replaceWith(button);
    return button;
  }

  function sort(key, descending) {
    sorted = { key, descending };
    for (const block of blocks) {
      const head = block.heads.find((one) => one.dataset.key === key);
      for (const one of block.heads) one.removeAttribute("aria-sort");
      if (key && !head) continue; // another suite, without this attack: left as it is
      let order = block.bodies; // as published, which decides between equals
      if (head) {
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const sign = descending ? -1 : 1;
        const read = key === "recipe" ? String : Number;
        const keyed = block.bodies.map((body) => [body, body.rows[0].cells[head.cellIndex].dataset.v]);
        const known = keyed.filter(([, value]) => value !== "").map(([body, value]) => [body, read(value)]);
        known.sort(([, a], [, b]) => sign * (a < b ? -1 : a > b ? 1 : 0));
        order = [...known, ...keyed.filter(([, value]) => value === "")].map(([body]) => body);
      }
      block.bodies[0]?.parentNode.append(...order);
    }
  }

  // The heights of names, as panel.py spreads them.
  function spread(wanted) {
    const top = 10, bottom = 190;
    const gap = Math.min(13, (bottom - top) / Math.max(wanted.length - 1, 1));
    const order = wanted.map((_, place) => place).sort((a, b) => wanted[a] - wanted[b]);
    const placed = [];
    let above = -Infinity;
    for (const place of order) placed[place] = above = Math.max(wanted[place], above + gap);
    let below = bottom;
    for (const place of order.reverse()) {
      placed[place] = Math.min(placed[place], below);
      below = placed[place] - gap;
    }
    return placed;
  }

  function draw(shown) {
    for (const { panels } of blocks) {
      for (const panel of panels) {
        const lines = all(".line", panel);
        for (const line of lines) {
          const recipe = line.dataset.recipe;
          line.classList.toggle("off", !(shown.has(recipe) && drawn.get(recipe)));
        }
        const visible = lines.filter((line) => !line.classList.contains("off"));
        const heights = spread(visible.map((line) => Number(line.dataset.end)));
        visible.forEach((line, place) => {
          const height = heights[place].toFixed(1);
          line.querySelector("text").setAttribute("y", height);
          line.querySelector(".leader").setAttribute("d", `M260,${line.dataset.end}L270,${height}`);
        });
      }
    }
  }

  function filter() {
    const chosen = new FormData(form);
    const shown = new Set(chosen.getAll("recipe"));
    const access = chosen.get("access");
    let tables = 0, rows = 0;
    for (const { section, bodies, strips } of blocks) {
      for (const one of [...bodies, ...strips]) one.hidden = !shown.has(one.dataset.recipe);
      const left = bodies.filter((body) => !body.hidden).length;
      const fits = ["task", "regularization_data", "suite"].every((name) => ["", section.dataset[name]].includes(chosen.get(name)));
      section.hidden = !(fits && left);
      const line = document.querySelector(`[data-block="${section.id}"]`);
      if (line) line.hidden = section.hidden;
      if (!section.hidden) { tables += 1; rows += left; }
    }
    for (const element of all("[data-access]")) element.hidden = access !== "" && element.dataset.access !== access;
    draw(shown);
    document.getElementById("nothing").hidden = tables > 0;
    for (const section of all(".overview")) section.hidden = tables === 0;
    say(`${rows} rows in ${tables} tables`);
  }

  // The choice is kept in the address, so that it can be passed on.
  function remember() {
    const chosen = new FormData(form);
    const kept = new URLSearchParams();
    for (const name of ["task", "regularization_data", "suite", "access"]) if (chosen.get(name)) kept.set(name, chosen.get(name));
    for (const box of all("[name=recipe]", form)) if (!box.checked) kept.append("without", box.value);
    if (sorted.key) kept.set("sort", (sorted.descending ? "-" : "") + sorted.key);
    history.replaceState(null, "", kept.size ? `#${kept}` : location.pathname + location.search);
  }

  function recall() {
    const kept = new URLSearchParams(location.hash.slice(1));
    for (const name of ["task", "regularization_data", "suite", "access"]) {
      const field = form.elements[name];
      if ([...field.options].some((option) => option.value === kept.get(name))) field.value = kept.get(name);
    }
    const without = kept.getAll("without");
    for (const box of all("[name=recipe]", form)) box.checked = !without.includes(box.value);
    const key = kept.get("sort");
    if (key) sort(key.replace(/^-/, ""), key.startsWith("-"));
  }

  for (const { section, heads, bodies } of blocks) {
    for (const head of heads) {
      const key = head.dataset.key;
      const holder = document.createElement("span");
      holder.append(...head.childNodes);
      head.append(holder);
      asButton(holder).addEventListener("click", () => {
        const usual = !["recipe", "rank"].includes(key) && !key.startsWith("distance_");
        const again = sorted.key === key;
        if (again && sorted.descending !== usual) sort("", true);
        else sort(key, again ? !usual : usual);
        const order = sorted.descending ? "largest first" : "smallest first";
        say(sorted.key ? `sorted by ${head.textContent.trim()}, ${order}` : "in the order of ranks");
        remember();
      });
    }
    for (const body of bodies) {
      const recipe = body.dataset.recipe;
      const [row, more] = body.rows;
      more.hidden = true;
      more.querySelector("details").open = true;
      const name = asButton(row.querySelector(".name"));
      name.setAttribute("aria-expanded", "false");
      name.setAttribute("aria-controls", more.id);
      name.addEventListener("click", () => {
        more.hidden = !more.hidden;
        name.setAttribute("aria-expanded", String(!more.hidden));
        body.classList.toggle("unfolded", !more.hidden);
      });
      const light = (on) => {
        section.classList.toggle("lit-one", on && Boolean(drawn.get(recipe)));
        for (const line of all(".line", section)) line.classList.toggle("lit", on && line.dataset.recipe === recipe);
      };
      row.addEventListener("pointerenter", () => light(true));
      row.addEventListener("pointerleave", () => light(false));
      const sample = row.querySelector(".swatch:has(svg)");
      if (!sample) continue;
      drawn.set(recipe, !sample.classList.contains("undrawn"));
      const swatch = asButton(sample, `curves of ${recipe}`);
      swatch.dataset.swatch = recipe;
      swatch.setAttribute("aria-pressed", String(drawn.get(recipe)));
      swatch.addEventListener("click", () => {
        drawn.set(recipe, !drawn.get(recipe));
        for (const one of all("[data-swatch]").filter((other) => other.dataset.swatch === recipe)) {
          one.classList.toggle("undrawn", !drawn.get(recipe));
          one.setAttribute("aria-pressed", String(drawn.get(recipe)));
        }
        draw(new Set(new FormData(form).getAll("recipe")));
      });
    }
  }
  document.documentElement.classList.add("scripted");
  form.hidden = false;
  form.addEventListener("change", () => { filter(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { filter(); sort("", true); remember(); }));
  recall();
  filter();
})();
