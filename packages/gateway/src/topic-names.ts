/** Which topic names are legal: Kafka's rule, so that any name that works here works there. */

/** Longest topic name; with a partition number and suffixes it still makes a file name. */
export const TOPIC_NAME_LENGTH_MAX = 249

const LEGAL = /^[a-zA-Z0-9._-]+$/

/** Kafka's name for the log of its controllers; our controller has no topic, but the name stands for it in some requests. */
export const METADATA_TOPIC = '__cluster_metadata'

/** Null when `name` is legal, otherwise why it is not, as Kafka says it. Never repeats the name: it may be hostile. */
export function topicNameProblem(name: string): string | null {
  const problem = nameProblem(name)
  return problem === null ? null : `Topic name is invalid: ${problem}`
}

function nameProblem(name: string): string | null {
  if (name === '') return 'the empty string is not allowed'
  if (name === '.' || name === '..') return `'${name}' is not allowed`
  if (name.length > TOPIC_NAME_LENGTH_MAX) return `it is longer than the max allowed length ${TOPIC_NAME_LENGTH_MAX}`
  if (!LEGAL.test(name)) {
    return "it contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
  }
  return null
}
