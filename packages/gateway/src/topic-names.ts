/** Which topic names are legal: Kafka's rule, so that any name that works here works there. */

/** Longest topic name; with a partition number and suffixes it still makes a file name. */
export const TOPIC_NAME_LENGTH_MAX = 249

const LEGAL = /^[a-zA-Z0-9._-]+$/

/** Null when `name` is legal, otherwise why it is not, in words for an operator. Never repeats the name: it may be hostile. */
export function topicNameProblem(name: string): string | null {
  if (name === '') return 'The topic name is empty'
  if (name === '.' || name === '..') return "A topic cannot be named '.' or '..'"
  if (name.length > TOPIC_NAME_LENGTH_MAX) return `The topic name is longer than ${TOPIC_NAME_LENGTH_MAX} characters`
  if (!LEGAL.test(name)) return "The topic name has characters other than ASCII letters and digits, '.', '_' and '-'"
  return null
}
