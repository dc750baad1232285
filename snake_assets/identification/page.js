// Body of a function that gradio's gr.HTML calls with `element`, which holds the form, `trigger` and `upload`.
// The photos stay in the browser: each change uploads all of them anew, for the server forgets what it answered.
const form = element.querySelector("form"), list = element.querySelector(".chosen");
const most = Number(form.dataset.most), mostBytes = Number(form.dataset.mostBytes);
let photos = [], asked = 0, turn = Promise.resolve();
const say = (text) => { element.querySelector("[role=status]").textContent = text; };
const snake = element.querySelector(".snake");

function show() {
  list.replaceChildren(...photos.map((photo) => {
    const line = document.createElement("li"), remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${photo.name}`);
    remove.onclick = () => { photos = photos.filter((one) => one !== photo); change(); };
    line.append(photo.name, " ", remove);
    return line;
  }));
  if (photos.length) {
    const line = document.createElement("li"), next = document.createElement("button");
    next.type = "button";
    next.textContent = "Another snake";
    next.onclick = () => { photos = []; change(); element.querySelector("#snake-files").focus(); };
    line.append(next);
    list.append(line);
  }
}

function change() {
  show();
  const mine = ++asked;
  // One after the other, so that the last answer to come is that of the last change.
  turn = turn.then(() => (mine === asked ? ask() : undefined));
}

async function ask() {
  say(photos.length ? "Looking at it …" : "");
  try {
    const sent = await Promise.all(photos.map(async (photo) => {
      // Gradio keeps two uploads of one content and name as one file, which the first answer would delete.
      const own = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join("");
      const { path } = await upload(new File([photo], own, { type: photo.type }));
      return { path, name: photo.name };
    }));
    trigger("submit", { photos: sent, country: form.country?.value ?? "", keep: form.keep?.checked ?? false });
  } catch (error) {
    say("The photo did not reach the server. See whether the page's program still runs, and try again.");
  }
}

function add(files) {
  const all = [...photos, ...files], large = all.find((photo) => photo.size > mostBytes);
  if (!files.length) return;
  if (all.length > most) say(`These would be ${all.length} photos: choose the best ${most} of this snake.`);
  else if (large) say(`${large.name} has more than ${mostBytes >> 20} MiB: choose a smaller photo.`);
  else { photos = all; change(); }
}

for (const input of element.querySelectorAll("input[type=file]"))
  input.addEventListener("change", () => { add([...input.files]); input.value = ""; });
form.addEventListener("submit", (event) => event.preventDefault());
form.country?.addEventListener("change", () => photos.length && change());
form.keep?.addEventListener("change", () => form.keep.checked && photos.length && change());
document.addEventListener("paste", (event) => add([...event.clipboardData.files]));
document.addEventListener("dragover", (event) => { event.preventDefault(); snake.classList.add("over"); });
document.addEventListener("dragleave", () => snake.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  snake.classList.remove("over");
  add([...event.dataTransfer.files]);
});
// Codes of two letters have names that the browser knows.
const names = new Intl.DisplayNames(["en"], { type: "region" });
for (const option of form.country?.options ?? [])
  if (/^[A-Z]{2}$/.test(option.value)) option.textContent = `${names.of(option.value)} (${option.value})`;
