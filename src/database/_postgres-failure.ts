/** What PostgreSQL, its client and the network between them fail with, as failures of ours. */
import { Failure, isFailure, messageOf, systemCode } from '../base/failure.ts'

/** Source: postgresql.org, "PostgreSQL Error Codes". */
const SERIALIZATION = new Set(['40001', '40P01'])
const UNIQUE = '23505'
const DISK_FULL = '53100'
/** Too many connections; a statement or a lock took too long. */
const BUSY = new Set(['53300', '57014', '55P03'])
/** No such user or password, no such database, not allowed to connect or to make tables. */
const REFUSED = /^(28|3D000|42501)/
/** Connection lost, shut down, starting up, only a copy that cannot be written. */
const AWAY = /^(08|57P0|25006|58)/
/** Source: pg-pool, of one who waited in vain for a connection. */
const ALL_LENT = 'timeout exceeded when trying to connect'
/** Bytes that text cannot have: NUL. */
const UNTEXT = new Set(['22021', '22P05'])

/** Whether the same transaction may well succeed when it is run again. */
export function isCollision(error: unknown): boolean {
  return SERIALIZATION.has(sqlState(error) ?? '')
}

/** Whether a row stood in the way; in a serialisable transaction perhaps one that it could not see. */
export function isDuplicate(error: unknown): boolean {
  return sqlState(error) === UNIQUE
}

/** Whether the connection is of no use any more. */
export function isLost(error: unknown): boolean {
  return isFailure(error, 'DATABASE_AWAY')
}

/** An error as a Failure, where it is one that was foreseen; those that are tried again stay as they are. */
export function asPostgresFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Failure) return error
  const state = sqlState(error)
  const options = { cause: error, details: { postgres: state ?? systemCode(error) } }
  if (error.message === ALL_LENT)
    return new Failure('DATABASE_BUSY', 'all connections to PostgreSQL are in use', options)
  if (state === undefined)
    return isOfTheClient(error)
      ? new Failure(
          'DATABASE_AWAY',
          `PostgreSQL cannot be reached: ${systemCode(error) ?? messageOf(error)}`,
          options,
        )
      : error
  if (state === DISK_FULL)
    return new Failure('DATABASE_FULL', 'no space left for the database', options)
  if (BUSY.has(state))
    return new Failure('DATABASE_BUSY', `PostgreSQL is busy: ${messageOf(error)}`, options)
  if (REFUSED.test(state))
    return new Failure('CONFIG_INVALID', `PostgreSQL refuses us: ${messageOf(error)}`, {
      ...options,
      fix: 'Check user, password and name in `database`, and what the user may do.',
    })
  if (AWAY.test(state))
    return new Failure('DATABASE_AWAY', `PostgreSQL is away: ${messageOf(error)}`, options)
  if (UNTEXT.has(state))
    return new Failure('REQUEST_INVALID', 'a text has a character that cannot be kept', options)
  return error
}

/** The five characters by which PostgreSQL names an error that it sent. */
function sqlState(error: unknown): string | undefined {
  const code = systemCode(error)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && hasSeverity(error) ? code : undefined
}

function hasSeverity(error: unknown): boolean {
  return error instanceof Error && 'severity' in error
}

/** What the client throws by itself: errors of the system, and a few of its own that have only a message. */
function isOfTheClient(error: Error): boolean {
  const code = systemCode(error)
  if (code !== undefined) return /^E[A-Z]+$/.test(code) && !code.startsWith('ERR')
  return /timeout|terminated|not queryable|closed|SSL|ended/i.test(error.message)
}
