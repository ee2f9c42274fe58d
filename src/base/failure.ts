/**
 * Failures: thrown when a thing was asked for and cannot be had (`failures.ts` has them all). Anything thrown that is
 * not a Failure is a bug. Only `cli/main.ts` and `http` turn what was thrown into an answer.
 */
import { type FailureCode, type FailureKind, FAILURES } from './failures.ts'

export type { FailureCode } from './failures.ts'

/** Something foreseen went wrong. `details` are facts for programs, never secrets. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly code: FailureCode
  readonly details: Readonly<Record<string, unknown>>
  /** What to try, for this very case; else the table's `fix`. */
  readonly fix: string | undefined

  constructor(
    code: FailureCode,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown; fix?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
    const kind: FailureKind = FAILURES[code]
    this.fix = options.fix ?? kind.fix
  }

  get exit(): number {
    return FAILURES[this.code].exit
  }
}

/** Whether `error` is a Failure, of this code if one is given. */
export function isFailure(error: unknown, code?: FailureCode): error is Failure {
  return error instanceof Failure && (code === undefined || error.code === code)
}

/** The `code` of a system error (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** One line that says what was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** A system error met on the file `path`, as a Failure; all else passes through: a bug stays one. */
export function asFileFailure(error: unknown, path: string): Error {
  const code = systemCode(error)
  const isForeseen = code !== undefined && !code.startsWith('ERR_') // those are Node's, of wrong calls
  if (error instanceof Error && (error instanceof Failure || !isForeseen)) return error
  const options = { details: { path, code }, cause: error }
  if (code === 'ENOENT') return new Failure('FILE_NOT_FOUND', `no file ${path}`, options)
  if (code === 'EISDIR')
    return new Failure('FILE_UNREADABLE', `${path} is a directory`, {
      ...options,
      fix: 'Name a file.',
    })
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new Failure('NO_SPACE', `no space left while writing ${path}`, options)
  if (code === 'EPIPE')
    return new Failure('READER_GONE', `${path} was closed before everything was written`, options)
  return new Failure('FILE_UNREADABLE', `${path}: ${messageOf(error)}`, options)
}
