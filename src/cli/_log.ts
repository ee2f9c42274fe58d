import type { Log, LogLevel } from '../base/log.ts'

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** Events at or above `level`: readable lines for people, JSON lines for programs. */
export function openLog(
  level: LogLevel,
  options: { json: boolean; write: (text: string) => void },
): Log {
  const lowest = LEVELS.indexOf(level)
  const at =
    (own: LogLevel) =>
    (event: string, fields: Record<string, unknown> = {}) => {
      if (LEVELS.indexOf(own) < lowest) return
      options.write(
        options.json
          ? `${JSON.stringify({ level: own, event, ...fields })}\n`
          : `${own} ${event}${formatFields(fields)}\n`,
      )
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function formatFields(fields: Record<string, unknown>): string {
  return Object.entries(fields)
    .map(
      ([name, value]) =>
        ` ${name}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`,
    )
    .join('')
}
