/**
 * A module of ours in a process of its own, and calls into it: typed requests and replies over IPC.
 *
 * The parent says `openChild<Calls>(file)` and `child.call('read', path)`; the child's module says
 * `serveParent<Calls>({ read: … })`. A child that dies, hangs or is killed costs its caller a
 * Failure REMOTE_LOST and nothing else; a parent that dies ends the child.
 */
import type { ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import { Failure, type FailureCode, messageOf, systemCode } from '../base/failure.ts'
import { killGroup, startModule } from '../base/process.ts'
import { fromSent, type SentError, toSent } from '../base/sent-error.ts'

type Callable<Calls> = { [Name in keyof Calls]: (...args: never[]) => unknown }
type Answer<Call> = Call extends (...args: never[]) => infer Result ? Awaited<Result> : never
type Arguments<Call> = Call extends (...args: infer Args) => unknown ? Args : never

/** What crosses the channel. `advanced` serialization keeps bytes as bytes. */
type Request = { id: number; name: string; args: unknown[] }
type Told =
  | { id: number; result: unknown }
  | { id: number; error: SentError }
  | { event: string; data: unknown }
const MAX_MESSAGE_LINES = 40
const MAX_LINE = 500

export interface Child<Calls extends Callable<Calls>> extends AsyncDisposable {
  readonly pid: number | undefined
  /** Fails with REMOTE_LOST when the child is or goes away, and with what the child threw. */
  call<Name extends keyof Calls & string>(
    name: Name,
    ...args: Arguments<Calls[Name]>
  ): Promise<Answer<Calls[Name]>>
  /** As `call`; a child that has not answered in this time (Infinity: ever) is killed: REMOTE_LOST. */
  callWithin<Name extends keyof Calls & string>(
    timeoutMs: number,
    name: Name,
    ...args: Arguments<Calls[Name]>
  ): Promise<Answer<Calls[Name]>>
  /** The last lines that the child told or printed, for failures. */
  messages(): string[]
  /** Lets the child end by itself, kills its process group after `graceMs`. Never throws. */
  close(graceMs?: number): Promise<void>
}

export interface ChildOptions {
  /** What the child is called in failures: `the appliance of disk.raw`. */
  title: string
  /** Put in front: `['unshare', '--mount', …]`. */
  launcher?: readonly string[]
  args?: readonly string[]
  env?: Readonly<Record<string, string>>
  /** Called with what the child tells unasked (`tellParent`), but for `message`s, which are kept. */
  onEvent?: (event: string, data: unknown) => void
}

/** The module `name` beside the caller's own: `.ts` in a checkout, `.js` when built. */
export function siblingModule(name: string, importMetaUrl: string): URL {
  return new URL(`./${name}${extname(new URL(importMetaUrl).pathname)}`, importMetaUrl)
}

/** Starts the child. It must be closed. */
export function openChild<Calls extends Callable<Calls>>(
  file: URL,
  options: ChildOptions,
): Child<Calls> {
  const started = startModule(file, options)
  const waiting = new Map<number, { name: string; settle: (told: Told | Failure) => void }>()
  const messages = keepMessages(started)
  let nextId = 1
  let lost: Failure | undefined

  const lose = (why: string, cause?: unknown, code: FailureCode = 'REMOTE_LOST') => {
    if (lost) return
    const during = [...waiting.values()].map(({ name }) => name)
    lost = new Failure(code, `${options.title}: ${why}`, {
      details: { during, messages: messages.lines },
      cause,
    })
    for (const { settle } of waiting.values()) settle(lost)
    waiting.clear()
  }

  const ended = new Promise<void>((resolve) => {
    started.once('exit', (code, signal) => {
      killGroup(started, 'SIGKILL') // what the child started ends with it
      const tell = () =>
        lose(`its process ended (${signal ?? `exit code ${code}`})${messages.lastLine()}`)
      // Its last words may still be on their way; something of its making may hold the pipe open.
      started.once('close', tell)
      setTimeout(tell, 500).unref()
      resolve()
    })
    started.once('error', (error) => {
      const missing = systemCode(error) === 'ENOENT'
      lose(
        missing ? `'${options.launcher?.[0]}' is not installed` : messageOf(error),
        error,
        missing ? 'TOOL_MISSING' : 'REMOTE_LOST',
      )
      if (started.pid === undefined) resolve()
    })
  })
  started.on('message', (told: Told) => {
    if ('event' in told) {
      if (told.event === 'message') messages.keep(String(told.data))
      else options.onEvent?.(told.event, told.data)
      return
    }
    const waiter = waiting.get(told.id)
    waiting.delete(told.id)
    waiter?.settle(told)
  })

  const request = async <Result>(
    name: string,
    args: unknown[],
    timeoutMs: number,
  ): Promise<Result> => {
    if (lost) throw lost
    const id = nextId++
    const told = await new Promise<Told | Failure>((resolve) => {
      const timer =
        timeoutMs === Infinity
          ? undefined
          : setTimeout(() => {
              lose(`no answer to '${name}' within ${timeoutMs / 1000} s`)
              killGroup(started, 'SIGKILL')
            }, timeoutMs)
      const settle = (told: Told | Failure) => {
        clearTimeout(timer)
        resolve(told)
      }
      waiting.set(id, { name, settle })
      started.send({ id, name, args } satisfies Request, (error) => {
        if (error && started.exitCode === null && started.signalCode === null)
          lose('the channel to its process is broken', error)
      })
    })
    if (told instanceof Failure) throw told
    if ('error' in told) throw fromSent(told.error)
    return (told as { result: Result }).result
  }

  const close = async (graceMs = 5000): Promise<void> => {
    lose('it was closed')
    if (started.connected) started.disconnect()
    const timer = setTimeout(() => killGroup(started, 'SIGKILL'), graceMs)
    await ended
    clearTimeout(timer)
  }

  return {
    pid: started.pid,
    call: (name, ...args) => request(name, args, Infinity),
    callWithin: (timeoutMs, name, ...args) => request(name, args, timeoutMs),
    messages: () => [...messages.lines],
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

/** The last lines that a process prints or tells, bounded. */
function keepMessages(started: ChildProcess) {
  const lines: string[] = []
  const keep = (text: string) => {
    for (const line of text.split(/[\r\n]+/))
      if (line.trim() !== '') lines.push(line.trimEnd().slice(0, MAX_LINE))
    lines.splice(0, lines.length - MAX_MESSAGE_LINES)
  }
  for (const stream of [started.stdout, started.stderr])
    stream?.setEncoding('utf8').on('data', keep)
  return { lines, keep, lastLine: () => (lines.length > 0 ? `: ${lines.at(-1)}` : '') }
}

/**
 * In the child: answers the parent's calls, each as it comes, until the parent goes away; then
 * `onParentGone` has its turn and the process ends.
 */
export function serveParent<Calls extends Callable<Calls>>(
  calls: Calls,
  onParentGone: () => void | Promise<void> = () => {},
): void {
  process.once('disconnect', () => {
    void Promise.resolve(onParentGone()).finally(() => process.exit(0))
  })
  process.on('message', (request: Request) => {
    void answer(calls, request)
  })
}

/** In the child: tells the parent something it did not ask for; a `message` for its failures. */
export function tellParent(event: string, data: unknown): void {
  send({ event, data })
}

/** A parent that died a moment ago must not cost the child its own orderly end. */
function send(told: Told): void {
  if (process.connected) process.send?.(told, undefined, undefined, () => {})
}

async function answer(calls: object, { id, name, args }: Request): Promise<void> {
  let told: Told
  try {
    const call: unknown = Object.hasOwn(calls, name) ? Reflect.get(calls, name) : undefined
    if (typeof call !== 'function') throw new Error(`no call '${name}'`)
    told = { id, result: await call(...args) }
  } catch (error) {
    told = { id, error: toSent(error) }
  }
  send(told)
}
