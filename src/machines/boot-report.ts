import type { WorkFormat } from '../formats/open-image.ts'
import type { Accelerator } from './accelerator.ts'
import type { Diagnosis } from './boot-diagnosis.ts'
import type { StageReached } from './boot-timeline.ts'

/** One thing a boot test looks at. */
export interface BootCheck {
  readonly name: 'login-prompt' | 'cloud-init' | 'ssh' | 'root-grows' | 'services'
  /** `unknown`: it could not be looked at. `warning`: not good, but the image boots. */
  readonly status: 'passed' | 'failed' | 'warning' | 'unknown'
  /** What was seen, in one line. */
  readonly detail: string
}

/** How an image booted. */
export interface BootReport {
  readonly image: string
  readonly format: WorkFormat
  readonly firmware: 'bios' | 'uefi'
  readonly accelerator: Accelerator
  /** No check failed, and the guest was seen to be up. */
  readonly passed: boolean
  readonly checks: readonly BootCheck[]
  /** The stages that were reached, by time since the machine was started. */
  readonly timeline: readonly StageReached[]
  readonly durationMs: number
  /** When it did not pass. */
  readonly diagnosis?: Diagnosis
  /** When it did not pass: the last lines of the console. */
  readonly console?: readonly string[]
  /** When it did not pass: where the picture of the guest's screen was written. */
  readonly screenshot?: string
}

/** How to reach the guest of a boot test while it runs. */
export interface GuestConnection {
  readonly host: '127.0.0.1'
  readonly port: number
  /** May become root by sudo, if the image has it. */
  readonly user: string
  /** The private key, a file that only this user can read. */
  readonly keyFile: string
  readonly knownHosts: string
  /** Words in front of what logs in: the guest is found in a network of its own. */
  readonly launcher?: readonly string[] | undefined
}
