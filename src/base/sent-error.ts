/** What was thrown in another process or thread, on its way to the one that asked. */
import { Failure, type FailureCode, messageOf } from './failure.ts'
import { FAILURES } from './failures.ts'

/** Plain data, whatever carries it. */
export interface SentError {
  message: string
  code?: FailureCode
  details?: Record<string, unknown>
  fix?: string
  stack?: string
}

export function toSent(error: unknown): SentError {
  if (!(error instanceof Failure))
    return error instanceof Error && error.stack
      ? { message: error.message, stack: error.stack }
      : { message: messageOf(error) }
  const sent: SentError = { message: error.message, code: error.code, details: error.details }
  if (error.fix !== undefined) sent.fix = error.fix
  return sent
}

/** A Failure stays a Failure; a bug stays a bug, with the stack of where it happened. */
export function fromSent({ message, code, details, fix, stack }: SentError): Error {
  if (code !== undefined && Object.hasOwn(FAILURES, code))
    return new Failure(code, message, {
      ...(details && { details }),
      ...(fix !== undefined && { fix }),
    })
  const error = new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}
