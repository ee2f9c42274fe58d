import pino from 'pino'
import type { Log, LogLevel } from '../base/log.ts'

/** Never written, wherever in the fields of an event they stand. */
const SECRETS = ['token', 'password', 'secret', 'authorization'].flatMap((name) => [
  name,
  `*.${name}`,
])

/** The server's log: JSON lines with the time, on standard error. */
export function openServerLog(level: LogLevel): Log {
  const log = pino(
    {
      level,
      base: { pid: process.pid },
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS, censor: '***' },
    },
    pino.destination({ dest: 2, sync: true }),
  )
  const at =
    (name: LogLevel) =>
    (event: string, fields: Record<string, unknown> = {}) =>
      log[name](fields, event)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
