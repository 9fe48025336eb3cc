/** Nested options, not yet checked. */
export type Tree = { [key: string]: unknown };

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `over` wins, option by option. */
export function merge(under: Tree, over: Tree): Tree {
  const merged: Tree = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isTree(value) && isTree(below) ? merge(below, value) : value;
  }
  return merged;
}

/** Sets the option at a dotted path. */
export function put(tree: Tree, path: string, value: unknown): void {
  const [head, ...rest] = path.split('.') as [string, ...string[]];
  if (rest.length === 0) {
    tree[head] = value;
    return;
  }
  tree[head] ??= {};
  put(tree[head] as Tree, rest.join('.'), value);
}

/** The option at a dotted path. */
export function at(tree: Tree, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isTree(value) ? value[key] : undefined), tree);
}
