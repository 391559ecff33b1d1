/** Answers about many partitions: the ports give flat lists, the wire wants partitions under their topics. */

/** Puts neighbours of the same topic together, in order; a topic appears again when others came between. */
export function groupByTopic<Item extends { readonly topic: string }, Partition>(
  items: readonly Item[],
  describe: (item: Item) => Partition
): { topic: string; partitions: Partition[] }[] {
  const groups: { topic: string; partitions: Partition[] }[] = []
  for (const item of items) {
    const last = groups[groups.length - 1]
    if (last !== undefined && last.topic === item.topic) last.partitions.push(describe(item))
    else groups.push({ topic: item.topic, partitions: [describe(item)] })
  }
  return groups
}
