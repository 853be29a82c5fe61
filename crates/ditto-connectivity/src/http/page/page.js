"use strict";

// Everything is set as text: nothing of an answer becomes markup.
function element(name, text, parent) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function field(label, parent, area) {
  const around = element("label", label, parent);
  if (area) around.className = "body";
  return element(area ? "textarea" : "input", "", around);
}

function authorization() {
  const pair = document.getElementById("user").value + ":" + document.getElementById("password").value;
  const bytes = new TextEncoder().encode(pair);
  return "Basic " + btoa(String.fromCharCode(...bytes));
}

function route(method, path, operation, parent) {
  const details = element("details", "", parent);
  const summary = element("summary", "", details);
  element("b", method.toUpperCase(), summary);
  element("code", path, summary);
  element("span", operation.summary, summary);
  if (operation.description) element("p", operation.description, details);
  const form = element("form", "", details);
  const parameters = (operation.parameters || []).map((parameter) => {
    const input = field(parameter.name + (parameter.required ? " *" : ""), form);
    input.title = parameter.description || "";
    return { parameter, input };
  });
  const content = operation.requestBody && operation.requestBody.content;
  const type = content && Object.keys(content)[0];
  const body = type && field("body, " + type, form, true);
  element("button", "Send", form);
  const answer = element("pre", "", details);
  answer.hidden = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let target = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const { parameter, input } of parameters) {
      if (parameter.in === "path") target = target.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
      else if (input.value && parameter.in === "query") query.append(parameter.name, input.value);
      else if (input.value && parameter.in === "header") headers[parameter.name] = input.value;
    }
    if (document.getElementById("password").value) headers.authorization = authorization();
    if (body) headers["content-type"] = type;
    answer.hidden = false;
    answer.textContent = "…";
    try {
      const search = query.size ? "?" + query : "";
      const options = { method: method.toUpperCase(), headers, body: body ? body.value : undefined };
      const response = await fetch(target + search, options);
      let text = await response.text();
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is shown as it came */ }
      answer.textContent = response.status + " " + response.statusText + "\n" +
        [...response.headers].map(([name, value]) => name + ": " + value).join("\n") + "\n\n" + text;
    } catch (error) {
      answer.textContent = String(error);
    }
  });
}

async function main() {
  document.getElementById("login").addEventListener("submit", (event) => event.preventDefault());
  const described = await (await fetch("/apidoc/openapi.json")).json();
  document.getElementById("about").textContent = described.info.description + " Version " + described.info.version + ".";
  const main = document.getElementById("routes");
  const groups = new Map();
  for (const [path, operations] of Object.entries(described.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = (operation.tags || ["other"])[0];
      if (!groups.has(tag)) {
        const section = element("section", "", main);
        element("h2", tag, section);
        groups.set(tag, section);
      }
      route(method, path, operation, groups.get(tag));
    }
  }
}

main();
