/** What went wrong in a driver, as the Failure of its store. */
import { Failure, type FailureCode, isFailure, messageOf, systemCode } from '../base/failure.ts'

/** System errors that say more than that the place does not work. */
const CODES: Readonly<Record<string, FailureCode>> = {
  ENOSPC: 'STORE_FULL',
  EDQUOT: 'STORE_FULL',
  EFBIG: 'STORE_FULL',
  EROFS: 'STORE_READ_ONLY',
  EACCES: 'STORE_DENIED',
  EPERM: 'STORE_DENIED',
}

/** What the rooms below make of system errors, for whoever named the file; nobody did here. */
const OF_FILES: ReadonlySet<FailureCode> = new Set([
  'FILE_NOT_FOUND',
  'FILE_UNREADABLE',
  'NO_SPACE',
])
/** Those of the kernel, of name servers and of connections; `ERR_…` are Node's, of wrong calls. */
const SYSTEM_CODE = /^(?!ERR_)(E[A-Z]|UND_ERR)/

/** `store fast: writing abc: …`. What is neither a Failure nor a system error is a bug, and stays one. */
export function asStoreFailure(error: unknown, store: string, what: string): Error {
  const isOfFile = isFailure(error) && OF_FILES.has(error.code)
  const code = systemCode(isOfFile ? error.cause : error)
  if ((isFailure(error) && !isOfFile) || code === undefined || !SYSTEM_CODE.test(code))
    return named(error, store, what)
  const kind = CODES[code] ?? 'STORE_AWAY'
  return new Failure(kind, `store ${store}: ${what}: ${withoutPaths(messageOf(error))}`, {
    details: { store, code },
    cause: error,
  })
}

/** Where a store stands on its host is nothing that its users are told. */
function withoutPaths(message: string): string {
  return message.replace(/ '\/.*'$/s, '')
}

function named(error: unknown, store: string, what: string): Error {
  if (!isFailure(error)) return error instanceof Error ? error : new Error(String(error))
  if (error.details['store'] !== undefined) return error
  return new Failure(error.code, `store ${store}: ${what}: ${error.message}`, {
    details: { ...error.details, store },
    cause: error,
    ...(error.fix !== undefined && { fix: error.fix }),
  })
}
