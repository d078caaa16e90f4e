/** Results that are asked for again with the same arguments: both sides of a comparison, and knobs that change nothing. */

/** @param size how many results are kept; arguments are told apart by their JSON, but for those after the first */
export function remembered<Key, Rest extends unknown[], Result>(
  compute: (key: Key, ...rest: Rest) => Result,
  size = 4,
): (key: Key, ...rest: Rest) => Result {
  const known = new Map<string, Result>();
  return (key, ...rest) => {
    const name = JSON.stringify(key);
    const result = known.get(name) ?? compute(key, ...rest);
    known.delete(name); // the last asked for goes last
    known.set(name, result);
    if (known.size > size) known.delete(known.keys().next().value!);
    return result;
  };
}
