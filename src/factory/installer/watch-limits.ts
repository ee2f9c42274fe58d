import { Failure } from '../../base/failure.ts'
import type { WatchLimits } from './watchdog.ts'

/** Limits as they are given: seconds, each by the name of what it limits. */
export interface GivenLimits {
  readonly boot?: number
  readonly install?: number
  readonly inactivity?: number
  readonly prompt?: number
  readonly shutdown?: number
  readonly ssh?: number
}

/** For a guest on this host's processor. */
const SECONDS = { boot: 300, install: 3600, inactivity: 300, shutdown: 120, ssh: 300 } as const
/** A prompt waits, whatever the processor. */
const PROMPT_SECONDS = 8
/** An emulated guest is slower by more than this, but installers do not only compute. */
const EMULATED = 6

/** Limits for an accelerator. What was given holds as it is. */
export function toWatchLimits(
  given: GivenLimits,
  accelerator: 'kvm' | 'tcg',
): WatchLimits & { readonly sshMs: number } {
  const scale = accelerator === 'tcg' ? EMULATED : 1
  const limit = (name: keyof typeof SECONDS) => (given[name] ?? SECONDS[name] * scale) * 1000
  const promptMs = (given.prompt ?? PROMPT_SECONDS) * 1000
  if (promptMs < 1000) throw new Failure('REQUEST_INVALID', 'timeouts.prompt is less than 1 s')
  return {
    bootMs: limit('boot'),
    installMs: limit('install'),
    inactivityMs: limit('inactivity'),
    promptMs,
    shutdownMs: limit('shutdown'),
    sshMs: limit('ssh'),
  }
}
