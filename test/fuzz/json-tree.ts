/** JSON as it is written: a member may come twice and a leaf be any text at all, which no JavaScript value can say. */
export type Tree = string | Tree[] | Members;

export class Members {
  /** Keys as JSON text. */
  readonly entries: [key: string, value: Tree][];

  constructor(entries: [string, Tree][]) {
    this.entries = entries;
  }
}

export function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return value.map(treeOf);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return new Members(Object.entries(value).map(([key, member]) => [JSON.stringify(key), treeOf(member)]));
}

export function writeTree(tree: Tree): string {
  if (typeof tree === 'string') return tree;
  if (Array.isArray(tree)) return `[${tree.map(writeTree).join(',')}]`;
  return `{${tree.entries.map(([key, value]) => `${key}:${writeTree(value)}`).join(',')}}`;
}

/** A place in a tree: what stands there, and what may be done with it. */
export interface Place {
  value: Tree;
  replace(value: Tree): void;
  /** Puts one more beside it, under the same key in an object. */
  double(value: Tree): void;
  remove(): void;
  /** Null in an array. */
  rename: ((key: string) => void) | null;
}

/** The places at or under the root, the root last. `tree` is changed by what is done there. */
export function placesOf(root: { value: Tree }): Place[] {
  const places: Place[] = [];
  const visit = (tree: Tree) => {
    if (typeof tree === 'string') return;
    const list: { value: Tree; entry?: [string, Tree] }[] = Array.isArray(tree)
      ? tree.map((value) => ({ value }))
      : tree.entries.map((entry) => ({ value: entry[1], entry }));
    for (const [i, { value, entry }] of list.entries()) {
      visit(value);
      if (Array.isArray(tree)) {
        places.push({
          value,
          replace(other) {
            tree[i] = other;
          },
          double: (other) => void tree.splice(i, 0, other),
          remove: () => void tree.splice(i, 1),
          rename: null,
        });
        continue;
      }
      places.push({
        value,
        replace(other) {
          entry![1] = other;
        },
        double: (other) => void tree.entries.splice(i, 0, [entry![0], other]),
        remove: () => void tree.entries.splice(i, 1),
        rename(key) {
          entry![0] = key;
        },
      });
    }
  };
  visit(root.value);
  const replace = (other: Tree) => {
    root.value = other;
  };
  const double = (other: Tree) => replace([root.value, other]);
  places.push({ value: root.value, replace, double, remove: () => replace('null'), rename: null });
  return places;
}
