/** Kafka's numbers for where the value of a setting comes from. */
export const SOURCE_TOPIC = 1
export const SOURCE_DYNAMIC_BROKER = 2
export const SOURCE_DYNAMIC_CLUSTER = 3
export const SOURCE_STATIC_BROKER = 4
export const SOURCE_DEFAULT = 5
