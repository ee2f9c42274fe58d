/**
 * What a boot says of itself: reads the console as it comes and recognises how far the boot is,
 * and what went wrong. It never throws, whatever the guest prints, and keeps a bounded part of it.
 */
import { type Clue, findClues } from './_boot-clues.ts'
import { ConsoleLines } from './_console-lines.ts'

/** How far a boot can be, in the usual order. */
export const STAGES = [
  'firmware',
  'bootloader',
  'kernel',
  'initramfs',
  'root-mounted',
  'init',
  'cloud-init-local',
  'cloud-init-network',
  'network',
  'ssh',
  'login',
  'cloud-init-config',
  'cloud-init-final',
  'cloud-init-done',
  'logged-in',
] as const

export type Stage = (typeof STAGES)[number]

/** A stage that was reached. */
export interface StageReached {
  readonly stage: Stage
  /** Milliseconds since the machine was started. */
  readonly atMs: number
  /** The line that shows it. */
  readonly evidence: string
}

/** What shows that a stage is reached, and whether it is a prompt, which has no end of line. */
const LANDMARKS: readonly { stage: Stage; pattern: RegExp; prompt?: true }[] = [
  { stage: 'firmware', pattern: /^SeaBIOS \(version|^BdsDxe: |^UEFI firmware/ },
  {
    stage: 'bootloader',
    pattern:
      /GNU GRUB +version|Welcome to GRUB|^GRUB loading|Booting `|SYSLINUX \d|ISOLINUX \d|^LILO \d|systemd-boot|Boot in \d+ s/,
  },
  { stage: 'kernel', pattern: /\bLinux version \d|^EFI stub: |Decompressing Linux/ },
  {
    stage: 'initramfs',
    pattern:
      /Run \/init as init process|^Loading, please wait|^Begin: |dracut(?:-[\w-]+)?\[\d+\]|^Welcome to .*Initramfs.*!$/,
  },
  {
    stage: 'root-mounted',
    pattern:
      /EXT[234]-fs \(\S+\): mounted filesystem|XFS \(\S+\): Ending clean mount|BTRFS info \(device \S+\)|VFS: Mounted root/,
  },
  {
    stage: 'init',
    pattern: /^Welcome to (?!GRUB|emergency|rescue|.*Initramfs).+!$|OpenRC \d|INIT: version \d/,
  },
  { stage: 'cloud-init-local', pattern: /Cloud-init v\. \S+ running 'init-local'/ },
  { stage: 'cloud-init-network', pattern: /Cloud-init v\. \S+ running 'init'/ },
  { stage: 'cloud-init-config', pattern: /Cloud-init v\. \S+ running 'modules:config'/ },
  { stage: 'cloud-init-final', pattern: /Cloud-init v\. \S+ running 'modules:final'/ },
  { stage: 'cloud-init-done', pattern: /Cloud-init v\. \S+ finished at/ },
  {
    stage: 'network',
    pattern:
      /Reached target .*Network is Online|ci-info: \| *(?!lo )\S+ *\| *True *\| *\d+\.\d+|[Ll]ease of \d+\.\d+\.\d+\.\d+ obtained|\bbound to \d+\.\d+\.\d+\.\d+/,
  },
  {
    stage: 'ssh',
    pattern:
      /(?:Started|Listening on) .*(?:OpenBSD Secure Shell|OpenSSH|\bsshd?\.service)|Server listening on \S+ port 22\b|\* Starting sshd/,
  },
  { stage: 'login', pattern: /^(?!Last\b)[\w.-]+ login:/i, prompt: true },
]

/** What whoever follows a boot may be told at once. */
export interface TimelineListeners {
  stage?: (reached: StageReached) => void
  /** A line of the console. */
  line?: (line: string) => void
}

/** Follows one boot. */
export class BootTimeline {
  readonly #console = new ConsoleLines()
  readonly #reached = new Map<Stage, StageReached>()
  readonly #clues: Clue[] = []
  readonly #tell: TimelineListeners

  constructor(tell: TimelineListeners = {}) {
    this.#tell = tell
  }

  /** Takes what was printed, in any pieces. `atMs` counts from the start of the machine. */
  push(chunk: Uint8Array, atMs: number): void {
    for (const line of this.#console.push(chunk)) {
      this.#read(line, atMs, false)
      this.#tell.line?.(line)
    }
    this.#read(this.#console.unfinished, atMs, true)
  }

  /** Records a stage that was seen otherwise than on the console. */
  note(stage: Stage, atMs: number, evidence: string): void {
    if (this.#reached.has(stage)) return
    const reached = { stage, atMs, evidence }
    this.#reached.set(stage, reached)
    this.#tell.stage?.(reached)
  }

  /** The stages that were reached, by time. */
  get stages(): StageReached[] {
    return [...this.#reached.values()]
  }

  has(stage: Stage): boolean {
    return this.#reached.has(stage)
  }

  /** What looked wrong so far, by time. */
  get clues(): readonly Clue[] {
    return this.#clues
  }

  /** The last lines of the console. */
  tail(count = 40): string[] {
    return this.#console.tail(count)
  }

  #read(line: string, atMs: number, unfinished: boolean): void {
    for (const { stage, pattern, prompt } of LANDMARKS)
      if ((prompt || !unfinished) && pattern.test(line)) this.note(stage, atMs, line)
    for (const clue of findClues(line, atMs, unfinished)) {
      const known = this.#clues.filter(({ cause }) => cause === clue.cause)
      if (known.length < 5 && !known.some((other) => other.line === line)) this.#clues.push(clue)
    }
  }
}
