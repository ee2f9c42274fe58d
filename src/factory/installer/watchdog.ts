/**
 * Watches an unattended installer and tells, as early as it can be known, that it will never come to its end: by what
 * it prints, by what its machine does, and by limits for each part of its way. It has no clock of its own: whoever
 * runs the machine says when things happened.
 */
import type { Activity } from '../../machines/machine.ts'
import { ConsoleText } from './console-text.ts'
import { LAST_STEP, type SignRule, SIGNS, STEPS } from './install-signs.ts'

/** Milliseconds. */
export interface WatchLimits {
  /** From the start until the installer shows any life: it prints, asks for its answer file, or writes. */
  readonly bootMs: number
  /** From the start to the end. */
  readonly installMs: number
  /** Without disk, network and console. */
  readonly inactivityMs: number
  /** Without disk, network and console after a prompt. */
  readonly promptMs: number
  /** From the announcement that it powers off to the end. */
  readonly shutdownMs: number
}

/** Why an installer is given up. */
export interface Stall {
  readonly reason: 'fatal' | 'prompt' | 'boot' | 'install' | 'inactivity' | 'shutdown'
  /** `no disk, network or console activity for 300 s`. */
  readonly told: string
  /** The likely cause. */
  readonly cause: string
}

/** Something that was seen. */
export interface Sighting {
  readonly atMs: number
  readonly what: string
  /** The line that shows it. */
  readonly evidence: string
}

/** What the machine did up to a moment. */
export interface Sample extends Activity {
  readonly atMs: number
}

const MAX_SIGHTINGS = 200
const MAX_SAMPLES = 240
/** After a fatal line more is printed, which often says most. */
const LAST_WORDS_MS = 2000
/** Less of a processor than this is a guest that waits. */
const IDLE_SHARE = 0.3

export class Watchdog {
  readonly #limits: WatchLimits
  readonly #console = new ConsoleText()
  readonly #sightings: Sighting[] = []
  readonly #signs = new Map<string, SignRule>()
  readonly #samples: Sample[] = []
  /** Every how many samples one is kept. */
  #stride = 1
  #sampled = 0
  #last: Sample | undefined
  #lastAtMs = { console: 0, disk: 0, network: 0 }
  #aliveAtMs: number | undefined
  #fatalAtMs: number | undefined
  #shutdownAtMs: number | undefined
  #fraction = 0
  #step = 'starting the installer'
  #answerAsked: boolean | undefined

  /** `expectsRequest`: the installer has to fetch its answer file. */
  constructor(limits: WatchLimits, expectsRequest = false) {
    this.#limits = limits
    if (expectsRequest) this.#answerAsked = false
  }

  /** What the guest printed. */
  print(chunk: Uint8Array, atMs: number): void {
    for (const line of this.#console.push(chunk, atMs)) this.#read(line, atMs)
    if (!this.#console.isClock) this.#lastAtMs.console = atMs
  }

  /** The guest asked for a file; `found`: it got it. */
  request(path: string, found: boolean, atMs: number): void {
    this.#answerAsked ||= found
    this.#alive(atMs)
    this.#see(found ? 'answer file fetched' : 'something asked for that is not there', path, atMs)
  }

  sample(activity: Activity, atMs: number): void {
    const now = { ...activity, atMs }
    const before = this.#last
    if (before === undefined || now.written !== before.written || now.read !== before.read)
      this.#lastAtMs.disk = atMs
    if (now.packets !== before?.packets) this.#lastAtMs.network = atMs
    if (now.written > 0) this.#alive(atMs)
    this.#last = now
    if (this.#sampled++ % this.#stride === 0) this.#samples.push(now)
    if (this.#samples.length < MAX_SAMPLES) return
    this.#stride *= 2
    this.#samples.splice(0, Infinity, ...this.#samples.filter((_, index) => index % 2 === 0))
  }

  /** How far it is, and what it does. */
  get progress(): { readonly fraction: number; readonly step: string } {
    return { fraction: this.#fraction, step: this.#step }
  }

  /** Why it should be given up now; undefined: it may yet succeed. */
  check(atMs: number): Stall | undefined {
    const { console: consoleAtMs, disk, network } = this.#lastAtMs
    const quietMs = atMs - Math.max(consoleAtMs, disk, network)
    const prompt = this.#prompt()
    if (this.#fatalAtMs !== undefined && atMs - this.#fatalAtMs >= LAST_WORDS_MS)
      return this.#stall('fatal', 'the installer failed', prompt)
    if (prompt !== undefined && quietMs >= this.#limits.promptMs)
      return this.#stall('prompt', `the installer waits for a key: ${quote(prompt.line)}`, prompt)
    if (this.#aliveAtMs === undefined && atMs >= this.#limits.bootMs)
      return this.#stall('boot', `no installer showed up within ${seconds(this.#limits.bootMs)}`)
    if (atMs >= this.#limits.installMs)
      return this.#stall('install', `not installed within ${seconds(this.#limits.installMs)}`)
    const lastMs = this.#shutdownAtMs
    if (lastMs !== undefined && atMs - lastMs >= this.#limits.shutdownMs)
      return this.#stall('shutdown', `not off ${seconds(this.#limits.shutdownMs)} after it said so`)
    if (quietMs >= this.#limits.inactivityMs)
      return this.#stall(
        'inactivity',
        `no disk, network or console activity for ${seconds(this.#limits.inactivityMs)}`,
      )
    return undefined
  }

  /** The likely cause of an end that was none: the machine ended, but nothing is installed. */
  explainEnd(): string {
    return this.#cause(this.#prompt()) ?? this.#unasked() ?? `it was ${this.#step}`
  }

  /** What was seen, for the record of a build. */
  report(): {
    readonly sightings: readonly Sighting[]
    readonly samples: readonly Sample[]
    readonly console: readonly string[]
  } {
    return {
      sightings: this.#sightings,
      samples: this.#samples,
      console: this.#console.tail(100),
    }
  }

  #read(line: string, atMs: number): void {
    for (const rule of SIGNS) {
      if (rule.kind === 'prompt' || !rule.pattern.test(line)) continue
      if (!this.#signs.has(rule.sign)) this.#see(rule.sign, line, atMs)
      this.#signs.set(rule.sign, rule)
      if (rule.kind === 'fatal') this.#fatalAtMs ??= atMs
    }
    const step = STEPS.findLast(({ pattern }) => pattern.test(line))
    if (step === undefined || step.fraction <= this.#fraction) return
    this.#fraction = step.fraction
    this.#step = step.step
    this.#alive(atMs)
    this.#see(step.step, line, atMs)
    if (step.step === LAST_STEP) this.#shutdownAtMs ??= atMs
  }

  /** The prompt that stands at the end of what was printed, and the most telling rule about it. */
  #prompt(): { rule: SignRule; line: string } | undefined {
    const text = this.#console.burst
    const rules = SIGNS.filter(({ kind, pattern }) => kind === 'prompt' && pattern.test(text))
    const rule = rules.find(({ means }) => means !== undefined) ?? rules[0]
    if (rule === undefined) return undefined
    return { rule, line: tellingLine(text, rule) }
  }

  #stall(reason: Stall['reason'], told: string, prompt = this.#prompt()): Stall {
    const cause = this.#cause(prompt) ?? this.#unasked() ?? this.#guess(reason)
    return { reason, told, cause }
  }

  /** What was printed says most: the rule that stands first in the table. */
  #cause(prompt: { rule: SignRule } | undefined): string | undefined {
    const known = new Set([...this.#signs.values(), ...(prompt ? [prompt.rule] : [])])
    return SIGNS.find((rule) => known.has(rule) && rule.means !== undefined)?.means
  }

  #unasked(): string | undefined {
    return this.#answerAsked === false
      ? 'the installer never asked for its answer file: it has no network, or does not read this command line'
      : undefined
  }

  #guess(reason: Stall['reason']): string {
    if (reason === 'prompt') return 'the answer file leaves a question open'
    if (reason === 'boot')
      return 'the kernel did not start, or does not use the serial console; the screenshot shows more'
    if (reason === 'shutdown') return 'a service of the installer does not end'
    return this.#isIdle()
      ? 'the guest is idle: it waits for something that the serial console does not show; the screenshot may'
      : `the guest is busy ${this.#step}, and slow or in a loop; more time may help (timeouts)`
  }

  #isIdle(): boolean {
    const [first, last] = [this.#samples.at(-6), this.#last]
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return true
    return (last.cpuMs - first.cpuMs) / (last.atMs - first.atMs) < IDLE_SHARE
  }

  #alive(atMs: number): void {
    this.#aliveAtMs ??= atMs
  }

  #see(what: string, evidence: string, atMs: number): void {
    if (this.#sightings.length < MAX_SIGHTINGS)
      this.#sightings.push({ atMs, what, evidence: evidence.slice(0, 300) })
  }
}

/** The line that shows a rule; of a dialog whose rule says nothing, what it asks. */
function tellingLine(text: string, { pattern, means }: SignRule): string {
  const lines = text.split(/[\r\n]+/).map((piece) => piece.trim())
  const question = lines.findLast((line) => /[a-z].*[?:]$/i.test(line))
  const shown = lines.find((line) => pattern.test(line)) ?? lines.findLast(Boolean) ?? ''
  return means === undefined ? (question ?? shown) : shown
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}

function quote(line: string): string {
  return `“${line.replaceAll(/\s+/g, ' ').slice(0, 120)}”`
}
