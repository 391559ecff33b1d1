export { errorCode, errorMessage, errorName, errorNames, isRetriable, type ErrorName } from './errors.ts'
