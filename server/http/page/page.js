"use strict";
(() => {
const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
let span = "recent", history = null, status = null, ghosts = null, prices = null, denied = false;
let token = sessionStorage.getItem("quire-token") || "";

const number = v => {
  for (const [size, unit] of [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]])
    if (v >= size) return (v / size).toFixed(v >= 100 * size ? 0 : 1) + unit;
  return v >= 10 || v === 0 ? v.toFixed(0) : v.toFixed(1);
};
const bytes = v => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (v >= 1024 && i < 5) { v /= 1024; i++; }
  return (i && v < 100 ? v.toFixed(1) : v.toFixed(0)) + " " + units[i];
};
const percent = v => (100 * v).toFixed(v > 0.9995 || v === 0 ? 0 : 1) + " %";
const time = ms => ms === 0 ? "–" : ms < 1 ? (ms * 1000).toFixed(0) + " µs" : ms.toFixed(0) + " ms";
const clock = (s, range) => new Date(s * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: range < 600 ? "2-digit" : undefined, hour12: false});
const put = (id, text) => { $(id).textContent = text; };

const node = (name, attributes, parent, text) => {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
};
const tag = (name, parent, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  parent.append(made);
  return made;
};

async function get(path) {
  const headers = token ? {Authorization: "Bearer " + token} : {};
  const answer = await fetch(path, {headers, cache: "no-store"});
  if (answer.status === 401) throw Object.assign(new Error("token"), {token: true});
  return answer.ok || answer.status === 503 ? answer.json() : null;
}

// Counters become rates: what grew between two points. A start of the daemon begins anew.
function rates() {
  if (!history) return [];
  const {points} = history[span], at = {};
  history.columns.forEach((name, i) => { at[name] = i; });
  const out = [];
  for (let i = 1; i < points.length; i++) {
    const seconds = points[i][0] - points[i - 1][0];
    const grew = name => Math.max(0, points[i][at[name]] - points[i - 1][at[name]]);
    if (seconds <= 0 || points[i][at.turns] < points[i - 1][at.turns]) continue;
    const hit = grew("hit_tokens"), prompt = grew("prompt_tokens");
    const ram = Math.min(grew("ram_tokens"), hit), ssd = Math.min(grew("ssd_tokens"), hit - ram);
    out.push({t: points[i][0], seconds, prompt, hit, ram, ssd, kept: hit - ram - ssd, miss: Math.max(0, prompt - hit)});
  }
  return out;
}
const ceilingShare = () => {
  const tier = ghosts && ghosts.tiers[ghosts.tiers.length - 1];
  return tier && tier.prompt_tokens > 0 ? tier.ceiling_tokens / tier.prompt_tokens : null;
};

function drawTiles(points) {
  const sum = name => points.reduce((all, one) => all + one[name], 0);
  const prompt = sum("prompt"), hit = sum("hit"), seconds = sum("seconds"), share = prompt ? hit / prompt : 0;
  const length = span === "day" ? "24 h" : "15 min";
  put("rate", prompt ? percent(share) : "no prompts yet");
  put("rate-sub", prompt ? `of ${number(prompt)} prompt tokens in the last ${length}` : `in the last ${length}`);
  $("rate-bar").style.width = 100 * share + "%";
  const ceiling = ceilingShare(), mark = $("ceiling-mark");
  mark.hidden = $("k-ceil").hidden = ceiling === null;
  if (ceiling !== null) mark.style.left = `calc(${100 * ceiling}% - 1px)`;
  put("ceiling", ceiling === null ? " " : `an infinite cache would have reached ${percent(ceiling)} in the last hour`);
  put("hits", number(hit));
  put("hits-sub", seconds ? `${number(hit / seconds)} a second` : " ");
  if (!status) return;
  const sessions = status.clients.sessions;
  if (prices && prices.saved) {
    put("money-title", "Saved since the start");
    put("money", `${prices.saved} ${prices.currency}`);
    put("money-sub", `at ${prices.model}: ${prices.hit_price} a million instead of ${prices.miss_price}`);
  } else {
    put("money", String(sessions));
    put("money-sub", `of ${status.clients.connected} connections`);
  }
  const load = status.verbs.load, match = status.verbs.match;
  put("speed", time(load.duration_ms_p50 || match.duration_ms_p50));
  put("speed-sub", load.duration_count ? `a load, half of all; 99 %: ${time(load.duration_ms_p99)}` : "no loads yet");
}

const LEFT = 56;
function axes(svg, width, height, top, unit) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height + 22}`);
  for (let i = 0; i <= 4; i++) {
    const y = height - i * height / 4;
    node("line", {x1: LEFT, x2: width, y1: y, y2: y, stroke: "var(--line)"}, svg);
    node("text", {x: LEFT - 6, y: y + 4, "text-anchor": "end"}, svg, unit(top * i / 4));
  }
}

function drawTokens(points) {
  const svg = $("tokens"), box = svg.getBoundingClientRect();
  const width = Math.max(280, box.width), height = Math.max(120, box.height - 22);
  const per = (one, name) => one[name] / one.seconds;
  const top = Math.max(1, ...points.map(one => per(one, "prompt"))) * 1.08;
  axes(svg, width, height, top, v => number(v) + "/s");
  if (points.length < 2) {
    node("text", {x: width / 2, y: height / 2, "text-anchor": "middle"}, svg, "the first points come within seconds");
    return;
  }
  const from = points[0].t, until = points[points.length - 1].t;
  const x = t => LEFT + (t - from) / (until - from) * (width - LEFT), y = v => height - v / top * height;
  const low = points.map(() => 0);
  for (const [name, color] of [["ram", "--ram"], ["ssd", "--ssd"], ["kept", "--kept"], ["miss", "--miss"]]) {
    const high = points.map((one, i) => low[i] + per(one, name));
    const line = points.map((one, i) => `${x(one.t).toFixed(1)},${y(high[i]).toFixed(1)}`);
    const back = points.map((one, i) => `${x(one.t).toFixed(1)},${y(low[i]).toFixed(1)}`).reverse();
    node("polygon", {points: line.concat(back).join(" "), fill: `var(${color})`, opacity: 0.9}, svg);
    high.forEach((v, i) => { low[i] = v; });
  }
  const ceiling = ceilingShare();
  if (ceiling !== null) {
    const line = points.map(one => `${x(one.t).toFixed(1)},${y(ceiling * per(one, "prompt")).toFixed(1)}`);
    node("polyline", {points: line.join(" "), fill: "none", stroke: "var(--ceil)", "stroke-width": 1.5, "stroke-dasharray": "4 3"}, svg);
  }
  for (let i = 0; i <= 3; i++) {
    const t = from + (until - from) * i / 3;
    node("text", {x: x(t), y: height + 16, "text-anchor": ["start", "middle", "middle", "end"][i]}, svg, clock(t, until - from));
  }
  svg.onpointermove = event => {
    const place = svg.getBoundingClientRect();
    const t = from + ((event.clientX - place.left) / place.width * width - LEFT) / (width - LEFT) * (until - from);
    const one = points.reduce((best, p) => Math.abs(p.t - t) < Math.abs(best.t - t) ? p : best);
    const tip = $("tip"), left = x(one.t) / width * place.width;
    tip.hidden = false;
    tip.textContent = `${clock(one.t, 0)}\nRAM ${number(per(one, "ram"))}/s\nSSD ${number(per(one, "ssd"))}/s\ncomputed ${number(per(one, "miss"))}/s`;
    tip.style.left = Math.min(place.width - 130, Math.max(0, left + 10)) + "px";
  };
  svg.onpointerleave = () => { $("tip").hidden = true; };
}

function drawTiers() {
  const place = $("tiers");
  place.replaceChildren();
  for (const tier of status.tiers) {
    const row = tag("div", place, undefined, "tier");
    tag("strong", row, tier.tier);
    const bar = tag("i", tag("div", row, undefined, "bar"));
    const share = tier.capacity_bytes ? Math.min(1, tier.used_bytes / tier.capacity_bytes) : 0;
    bar.style.width = 100 * share + "%";
    bar.style.background = `var(--${tier.tier === "ram" ? "ram" : "ssd"})`;
    tag("span", row, tier.capacity_bytes ? `${bytes(tier.used_bytes)} of ${bytes(tier.capacity_bytes)}` : tier.state);
    const facts = [];
    if (tier.state !== "ok") facts.push(tier.state);
    if (tier.spans !== undefined) facts.push(`${number(tier.spans)} spans, ${number(tier.checkpoints)} checkpoints`);
    if (tier.read) facts.push(`${bytes(tier.read.bytes)} read, ${bytes(tier.written.bytes)} written`);
    if (tier.engine) facts.push(tier.engine);
    tag("span", row, facts.join(" · "), "facts");
  }
}

function drawTrouble() {
  const list = $("reasons");
  list.replaceChildren();
  const say = (what, part) => {
    tag("li", list, `${what}: ${part.state}${part.reason ? ", " + part.reason : ""}${part.action ? ": " + part.action : ""}`);
  };
  for (const tier of status.tiers) if (tier.state !== "ok") say(tier.tier, tier);
  if (status.ledger.state === "failed") say("receipts", status.ledger);
  $("trouble").hidden = list.children.length === 0;
}

function drawGhosts() {
  const tier = ghosts && ghosts.tiers.find(one => one.tier === "ram" && one.rows.length) || ghosts && ghosts.tiers[0];
  $("ghost-card").hidden = !tier;
  if (!tier) return;
  const svg = $("ghosts"), box = svg.getBoundingClientRect();
  const width = Math.max(280, box.width), height = Math.max(120, box.height - 22);
  const policies = [...new Set(tier.rows.map(row => row.policy))].sort();
  const sizes = [...new Set(tier.rows.map(row => row.size_percent))].sort((a, b) => a - b);
  const ceiling = tier.prompt_tokens ? 100 * tier.ceiling_tokens / tier.prompt_tokens : 0;
  const top = Math.max(5, ceiling, ...tier.rows.map(row => row.hit_percent)) * 1.05;
  axes(svg, width, height, top, v => v.toFixed(0) + " %");
  const x = i => sizes.length > 1 ? LEFT + 24 + i / (sizes.length - 1) * (width - LEFT - 48) : width / 2, y = v => height - v / top * height;
  put("ghost-sub", `${tier.tier.toUpperCase()} by its room, last hour: simulated on ${number(tier.prompt_tokens)} prompt tokens; best: ${tier.best}`);
  const legend = $("ghost-legend");
  legend.replaceChildren();
  policies.forEach((policy, p) => {
    const color = `hsl(${(165 + p * 360 / policies.length) % 360} 55% 50%)`;
    tag("span", legend, policy, "k").style.color = color;
    const rows = tier.rows.filter(row => row.policy === policy).sort((a, b) => a.size_percent - b.size_percent);
    const dots = rows.map(row => [x(sizes.indexOf(row.size_percent)), y(row.hit_percent)]);
    node("polyline", {points: dots.map(dot => dot.join(",")).join(" "), fill: "none", stroke: color, "stroke-width": 2}, svg);
    for (const [cx, cy] of dots) node("circle", {cx, cy, r: 3.5, fill: color}, svg);
  });
  node("line", {x1: LEFT, x2: width, y1: y(ceiling), y2: y(ceiling), stroke: "var(--ceil)", "stroke-dasharray": "4 3"}, svg);
  sizes.forEach((size, i) => node("text", {x: x(i), y: height + 16, "text-anchor": "middle"}, svg, size ? (size > 0 ? "+" : "") + size + " %" : "now"));
}

function fill(id, rows) {
  const body = $(id).tBodies[0];
  body.replaceChildren();
  for (const cells of rows) {
    const row = tag("tr", body);
    for (const cell of cells) typeof cell === "function" ? cell(tag("td", row)) : tag("td", row, cell).title = cell;
  }
}
const share = part => cell => {
  tag("i", tag("span", cell, undefined, "mini")).style.width = 100 * part + "%";
  cell.append(percent(part));
};
function drawTables() {
  const name = one => one.tenant ? one.tenant + (status.domains.length > 1 ? " · " + one.domain : "") : one.domain;
  const tenants = [...status.tenants].sort((a, b) => b.prompt_tokens - a.prompt_tokens).slice(0, 12);
  fill("tenants", tenants.map(one => [name(one), share(one.prompt_tokens ? one.hit_tokens / one.prompt_tokens : 0), number(one.prompt_tokens), bytes(one.ram_bytes), bytes(one.ssd_bytes)]));
  put("tenants-sub", status.tenants_total > tenants.length ? `${tenants.length} of ${status.tenants_total}` : status.tenants_total ? "" : "none yet");
  const sessions = status.sessions.slice(0, 12);
  fill("sessions", sessions.map(one => [`${one.session} · ${name(one)}`, number(one.prompt_tokens), share(one.prompt_tokens ? one.announced_tokens / one.prompt_tokens : 0), String(one.turn)]));
  put("sessions-sub", status.sessions.length > sessions.length ? `${sessions.length} of ${status.clients.sessions}` : status.sessions.length ? "" : "none open");
}

function draw() {
  const points = rates();
  drawTiles(points);
  drawTokens(points);
  drawGhosts();
  if (!status) return;
  const well = status.state === "ok";
  put("state", well ? "all is well" : status.state);
  $("state").className = "pill " + (well ? "ok" : "bad");
  document.title = well ? "Quire" : `Quire: ${status.state}`;
  drawTiers();
  drawTrouble();
  drawTables();
}

async function refresh() {
  try {
    history = await get("/history");
    [status, ghosts, prices] = await Promise.all([get("/status"), get("/ghosts"), get("/prices")]);
    $("ask").hidden = true;
    denied = false;
    put("stamp", "as of " + new Date().toLocaleTimeString());
    if (!status) { put("state", "metrics"); }
    draw();
    document.body.dataset.ready = "yes";
  } catch (failure) {
    if (failure.token) {
      if (token && !denied) put("refusal", "that is no token of this daemon");
      denied = true;
      $("ask").hidden = false;
      put("state", "token needed");
    } else {
      put("state", "no answer");
    }
    $("state").className = "pill bad";
    document.body.dataset.ready = failure.token ? "ask" : "no";
  }
}
const enter = () => { token = $("token").value.trim(); denied = false; sessionStorage.setItem("quire-token", token); refresh(); };
$("enter").addEventListener("submit", event => { event.preventDefault(); enter(); });
for (const name of ["recent", "day"]) $("span-" + name).addEventListener("click", () => {
  span = name;
  for (const one of ["recent", "day"]) $("span-" + one).setAttribute("aria-pressed", String(one === name));
  draw();
});
const root = document.documentElement;
const kept = localStorage.getItem("quire-theme");
if (kept) root.dataset.theme = kept;
$("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("quire-theme", root.dataset.theme);
  draw();
});
addEventListener("resize", draw);
(async function live() {
  if (!document.hidden) await refresh();
  setTimeout(live, 5000);
})();
})();
