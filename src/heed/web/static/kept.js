// What this browser keeps: answers on their way, and drafts.  IndexedDB; in memory where that is denied, and then it says so.

const memory = { outbox: new Map(), drafts: new Map() };
export let durable = true;

const database = new Promise((resolve) => {
  let asked;
  try {
    asked = indexedDB.open("heed", 1);
  } catch {
    resolve(null);
    return;
  }
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore("outbox", { keyPath: "id" });
    asked.result.createObjectStore("drafts", { keyPath: "id" });
  };
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => resolve(null);
}).then((found) => {
  durable = found !== null;
  return found;
});

async function work(store, mode, act) {
  const found = await database;
  if (!found) return undefined;
  return new Promise((resolve, reject) => {
    const doing = found.transaction(store, mode, { durability: "strict" });
    const asked = act(doing.objectStore(store));
    doing.oncomplete = () => resolve(asked.result);
    doing.onerror = doing.onabort = () => reject(doing.error);
  });
}

export async function keep(store, item) {
  memory[store].set(item.id, item);
  try {
    await work(store, "readwrite", (box) => box.put(item));
  } catch {
    durable = false; // full, or forbidden: the copy in memory is all there is
  }
}

export async function drop(store, id) {
  memory[store].delete(id);
  try {
    await work(store, "readwrite", (box) => box.delete(id));
  } catch {
    durable = false;
  }
}

export async function read(store, id) {
  try {
    return (await work(store, "readonly", (box) => box.get(id))) ?? memory[store].get(id);
  } catch {
    return memory[store].get(id);
  }
}

export async function list(store) {
  try {
    return (await work(store, "readonly", (box) => box.getAll())) ?? [...memory[store].values()];
  } catch {
    return [...memory[store].values()];
  }
}
