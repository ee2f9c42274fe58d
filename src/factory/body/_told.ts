import type { Context } from '../../base/context.ts'
import type { BuildLog } from '../build-log.ts'

/** A context by which what happens in a guest stands in a log, too. */
export function toldTo(log: BuildLog, context: Context): Context {
  return {
    ...context,
    progress: (event) => {
      if (event.kind === 'output') log.output(`${event.line}\n`)
      if (event.kind === 'phase') log.event([event.name, event.detail].filter(Boolean).join(': '))
      if (event.kind === 'step-end' && event.status !== 'held')
        log.event(`${event.title}: ${event.status}`)
      context.progress(event)
    },
  }
}

/** Fractions of a work that is told as bytes of this name. */
export function tellingBytes(
  name: string,
  { progress }: Pick<Context, 'progress'>,
): (fraction: number) => void {
  const total = 1000
  return (fraction) => progress({ kind: 'bytes', name, done: Math.round(fraction * total), total })
}
