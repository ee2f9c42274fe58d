/** What an S3 server or its library says, as a Failure. Source: Amazon S3, "Error responses". */
import { Failure, type FailureCode, systemCode } from '../../base/failure.ts'

const BY_NAME: Readonly<Record<string, FailureCode>> = {
  NoSuchKey: 'OBJECT_NOT_FOUND',
  NotFound: 'OBJECT_NOT_FOUND',
  NoSuchBucket: 'STORE_AWAY',
  NoSuchUpload: 'STORE_AWAY',
  AccessDenied: 'STORE_DENIED',
  InvalidAccessKeyId: 'STORE_DENIED',
  SignatureDoesNotMatch: 'STORE_DENIED',
  QuotaExceeded: 'STORE_FULL',
  XMinioStorageFull: 'STORE_FULL',
  EntityTooLarge: 'STORE_FULL',
  TimeoutError: 'STORE_AWAY',
  SlowDown: 'STORE_AWAY',
}

const BY_STATUS: Readonly<Record<number, FailureCode>> = {
  401: 'STORE_DENIED',
  403: 'STORE_DENIED',
  404: 'OBJECT_NOT_FOUND',
  413: 'STORE_FULL',
  429: 'STORE_AWAY',
  507: 'STORE_FULL',
}

/** System errors pass through, and so does what is neither: a bug, or the end of an interrupted call. */
export function s3Failure(error: unknown, what: string): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  const { $metadata: { httpStatusCode: status = 0 } = {} } = error as Answered
  const code =
    BY_NAME[error.name] ?? BY_STATUS[status] ?? (status >= 500 ? 'STORE_AWAY' : undefined)
  if (code === undefined || (systemCode(error) !== undefined && status === 0)) return error
  return new Failure(
    code,
    `${what}: ${error.name}${status > 0 ? ` (${status})` : ''}: ${error.message}`,
    {
      details: { status, s3: error.name },
      cause: error,
    },
  )
}

interface Answered {
  readonly $metadata?: { readonly httpStatusCode?: number }
}
