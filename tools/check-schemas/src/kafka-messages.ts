/** Reads Kafka's own definitions of its messages out of a kafka-clients jar, in memory, as far as the comparison needs them. */
import { strFromU8, unzipSync } from 'fflate'

/** A field as Kafka's JSON has it. */
export interface KafkaField {
  readonly name: string
  /** `int32`, `[]string`, `FetchTopic`, `[]FetchTopic`. */
  readonly type: string
  readonly versions: string
  readonly nullableVersions?: string
  readonly taggedVersions?: string
  readonly tag?: number | string
  readonly default?: string | number | boolean | null
  readonly ignorable?: boolean | string
  readonly flexibleVersions?: string
  readonly fields?: readonly KafkaField[]
}

/** A message as Kafka's JSON has it. */
export interface KafkaMessage {
  readonly name: string
  readonly type: 'request' | 'response' | 'header' | 'data'
  readonly apiKey?: number
  readonly validVersions: string
  readonly flexibleVersions?: string
  readonly latestVersionUnstable?: boolean
  readonly fields?: readonly KafkaField[]
  readonly commonStructs?: readonly { readonly name: string; readonly fields: readonly KafkaField[] }[]
}

/** All message definitions in a jar, by name (`FetchRequest`). Messages without any valid version are left out. */
export function readMessages(jar: Uint8Array): Map<string, KafkaMessage> {
  const files = unzipSync(jar, { filter: file => /^common\/message\/\w+\.json$/.test(file.name) })
  const messages = Object.values(files).map(bytes => JSON.parse(withoutComments(strFromU8(bytes))) as KafkaMessage)
  return new Map(
    messages.filter(({ validVersions }) => validVersions !== 'none').map(message => [message.name, message])
  )
}

/** The fields of a struct or array of structs; `undefined` for other types. */
export function fieldsOf(message: KafkaMessage, field: KafkaField): readonly KafkaField[] | undefined {
  const struct = field.type.replace('[]', '')
  return field.fields ?? message.commonStructs?.find(({ name }) => name === struct)?.fields
}

/** JSON without its line comments; slashes inside strings stay. */
function withoutComments(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*/g, (_match, quoted?: string) => quoted ?? '')
}
