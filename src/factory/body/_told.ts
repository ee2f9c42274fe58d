import type { Context, ProgressEvent } from '../../base/context.ts'
import type { Job } from '../os-builder.ts'

/** A context by which what happens in a guest stands in a log, too; where on this host it is done is nobody's matter. */
export function toldTo({ log, context, workDir }: Job): Context {
  return {
    ...context,
    progress: (told) => {
      const event = withoutPath(told, workDir)
      if (event.kind === 'output') log.output(`${event.line}\n`)
      if (event.kind === 'phase') log.event([event.name, event.detail].filter(Boolean).join(': '))
      if (event.kind === 'step-end' && event.status !== 'held')
        log.event(`${event.title}: ${event.status}`)
      context.progress(event)
    },
  }
}

function withoutPath(event: ProgressEvent, directory: string): ProgressEvent {
  if (event.kind !== 'phase' || event.detail === undefined) return event
  return { ...event, detail: event.detail.replaceAll(`${directory}/`, '') }
}

/** Fractions of a work that is told as bytes of this name. */
export function tellingBytes(
  name: string,
  { progress }: Pick<Context, 'progress'>,
): (fraction: number) => void {
  const total = 1000
  return (fraction) => progress({ kind: 'bytes', name, done: Math.round(fraction * total), total })
}
