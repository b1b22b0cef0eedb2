// The page: shows what taskSync.js holds, and turns what the user does into edits. `?server=` names another server.
import { openTasks } from './taskSync.js';

const url = new URLSearchParams(location.search).get('server') ?? 'http://localhost:5000';
const byId = (id) => document.getElementById(id);
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const tasks = await openTasks({ url, onChange: show });
const rows = new Map();

function makeRow(id) {
  const completed = make('input', { type: 'checkbox', ariaLabel: 'Completed' });
  const title = make('input', { ariaLabel: 'Title' });
  const remove = make('button', { textContent: 'Delete', onclick: () => tasks.remove(id) });
  completed.onchange = () => tasks.change(id, { completed: completed.checked });
  title.onchange = () => tasks.change(id, { title: title.value });
  const item = make('li', { id });
  item.append(completed, title, remove);
  return { item, completed, title };
}

async function show() {
  const { tasks: shown, waiting, problems, state } = await tasks.view();
  for (const { id, title, completed } of shown) {
    const row = rows.get(id) ?? makeRow(id);
    rows.set(id, row);
    row.completed.checked = completed;
    // Not what is being typed.
    if (document.activeElement !== row.title) row.title.value = title;
  }
  const items = shown.map(({ id }) => rows.get(id).item);
  const list = byId('tasks');
  // Only if it is another list: putting a row in again takes the focus from it.
  if (items.length !== list.children.length || items.some((item, index) => item !== list.children[index])) {
    list.replaceChildren(...items);
  }
  byId('status').textContent = waiting > 0 ? `${waiting} edits wait. ${state}` : state || 'Everything is synced.';
  byId('problems').replaceChildren(...problems.map(({ message }) => make('li', { textContent: message })));
}

byId('add').onsubmit = async (event) => {
  event.preventDefault();
  await tasks.add(byId('title').value);
  event.target.reset();
};
await show();
