import { stripVTControlCharacters, styleText } from 'node:util'
import type { ProgressEvent } from '../base/context.ts'
import { formatDuration, formatSize } from '../base/units.ts'

export interface ProgressView {
  show(event: ProgressEvent): void
  /** Writes text above the moving line. */
  aside(text: string): void
  /** Takes the moving line away. */
  clear(): void
}

export interface ProgressOptions {
  json: boolean
  terminal: boolean
  quiet: boolean
  write: (text: string) => void
  columns: () => number
  /** Milliseconds of a clock that never goes back; left out, the process's own. */
  nowMs?: () => number
}

const MARKS: Readonly<Record<string, string>> = {
  held: '✓',
  changed: '●',
  differs: '✗',
  failed: '✗',
  unknown: '?',
  skipped: '·',
}
const COLOURS = {
  held: 'green',
  changed: 'cyan',
  differs: 'red',
  failed: 'red',
  unknown: 'yellow',
  skipped: 'gray',
} as const

/** One event stream, three pictures: a moving line for people, plain lines for logs, JSON lines for programs. */
export function openProgress(options: ProgressOptions): ProgressView {
  if (options.quiet) return { show: () => {}, aside: options.write, clear: () => {} }
  const view = openView(options)
  return { ...view, show: atMostEvery(BYTES_EVERY_MS, view.show, options.nowMs) }
}

/** Bytes move in many small steps; nobody watches, or parses, more of them than this. */
const BYTES_EVERY_MS = 100

/** Drops events about bytes that come sooner after another of their name; the last one stays. */
function atMostEvery(
  everyMs: number,
  show: (event: ProgressEvent) => void,
  nowMs = () => performance.now(),
): (event: ProgressEvent) => void {
  const shownAt = new Map<string, number>()
  return (event) => {
    if (event.kind === 'bytes') {
      const now = nowMs()
      const before = shownAt.get(event.name) ?? Number.NEGATIVE_INFINITY
      if (now - before < everyMs && event.done !== event.total) return
      shownAt.set(event.name, now)
    }
    show(event)
  }
}

function openView(options: ProgressOptions): ProgressView {
  if (options.json)
    return {
      show: (event) => options.write(`${JSON.stringify(event)}\n`),
      aside: options.write,
      clear: () => {},
    }
  return options.terminal ? openMoving(options) : openPlain(options)
}

function openPlain({ write }: ProgressOptions): ProgressView {
  return {
    show: (event) => {
      const line = lineOf(event, false)
      if (line !== undefined) write(`${line}\n`)
    },
    aside: write,
    clear: () => {},
  }
}

function openMoving({
  write,
  columns,
  nowMs = () => performance.now(),
}: ProgressOptions): ProgressView {
  const pace = new Pace(nowMs)
  let step = ''
  let shown = false
  const clear = () => {
    if (shown) write('\r\u001b[K')
    shown = false
  }
  const draw = (text: string) => {
    write(`\r\u001b[K${text.slice(0, Math.max(columns() - 1, 20))}`)
    shown = true
  }
  return {
    show: (event) => {
      const line = lineOf(event, true)
      if (line !== undefined) {
        clear()
        write(`${line}\n`)
      }
      if (event.kind === 'step')
        step = `  … ${event.total ? `${event.index}/${event.total} ` : ''}${event.title}`
      if (event.kind === 'phase') step = `  … ${event.name}`
      if (event.kind === 'output') draw(`${step}  ${stripVTControlCharacters(event.line).trim()}`)
      else if (event.kind === 'bytes') draw(`${step}  ${formatBytes(event)}${pace.tell(event)}`)
      else if (event.kind !== 'step-end') draw(step)
    },
    aside: (text) => {
      clear()
      write(text)
    },
    clear,
  }
}

/** The line that stays, or undefined for an event that only moves. */
function lineOf(event: ProgressEvent, colours: boolean): string | undefined {
  if (event.kind === 'phase')
    return `${colours ? styleText('bold', event.name) : event.name}${event.detail ? `  ${event.detail}` : ''}`
  if (event.kind !== 'step-end') return undefined
  const mark = MARKS[event.status] ?? '-'
  const colour = COLOURS[event.status as keyof typeof COLOURS] ?? 'white'
  const host = event.on === undefined ? '' : `${event.on}: `
  const took = event.durationMs >= 100 ? `  ${formatDuration(event.durationMs)}` : ''
  return `  ${colours ? styleText(colour, mark) : mark} ${host}${event.title}${event.status === 'held' ? '' : ` (${event.status})`}${took}`
}

function formatBytes({ done, total }: { done: number; total?: number }): string {
  return total
    ? `${barOf(done / total)} ${formatSize(done)} of ${formatSize(total)} (${Math.floor((done / total) * 100)} %)`
    : formatSize(done)
}

const BAR_CELLS = 20

/** `███████─────────────` */
function barOf(part: number): string {
  const filled = Math.min(Math.max(Math.round(part * BAR_CELLS), 0), BAR_CELLS)
  return '█'.repeat(filled) + '─'.repeat(BAR_CELLS - filled)
}

/** Nothing is foretold before this: the first bytes come at another pace than the rest. */
const WARM_UP_MS = 1000

/** How fast bytes move, and how long the rest will take. */
class Pace {
  readonly #nowMs: () => number
  #of = ''
  #startedAt = 0
  #startedWith = 0
  #last = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  tell({ name, done, total }: { name: string; done: number; total?: number }): string {
    const now = this.#nowMs()
    if (name !== this.#of || done < this.#last) {
      this.#of = name
      this.#startedAt = now
      this.#startedWith = done
    }
    this.#last = done
    const elapsedMs = now - this.#startedAt
    const perMs = (done - this.#startedWith) / elapsedMs
    if (elapsedMs < WARM_UP_MS || perMs === 0) return ''
    const rest = total && total > done ? `, ${formatDuration((total - done) / perMs)} left` : ''
    return `  ${formatSize(perMs * 1000)}/s${rest}`
  }
}
