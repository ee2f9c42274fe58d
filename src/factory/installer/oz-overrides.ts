import { Failure } from '../../base/failure.ts'
import type { InstallerOptions } from './installer-options.ts'

type Overrides = Readonly<Record<string, unknown>>

/** What a setting of oz.cfg is here. Source: Oz's configuration file. */
const KNOWN: Readonly<Record<string, (value: string) => Partial<InstallerOptions>>> = {
  'libvirt.cpus': (value) => ({ cpus: toNumber(value) }),
  'libvirt.memory': (value) => ({ memory: toNumber(value) }),
  'cache.jeos': (value) => ({ use_jeos_cache: isYes(value) }),
  'timeouts.install': (value) => ({ timeouts: { install: toNumber(value) } }),
  'timeouts.inactivity': (value) => ({ timeouts: { inactivity: toNumber(value) } }),
  'timeouts.boot': (value) => ({ timeouts: { ssh: toNumber(value) } }),
  'timeouts.shutdown': (value) => ({ timeouts: { shutdown: toNumber(value) } }),
}

/** Why others have no effect, by section or setting. */
const MEANINGLESS: Readonly<Record<string, string>> = {
  paths: 'files lie where the configuration of Ingot says',
  libvirt: 'no libvirt is used',
  'libvirt.image_type': 'the body is kept raw, and every format of it can be had',
  'cache.original_media': 'media are always kept',
  'cache.modified_media': 'media are not changed',
  'icicle.safe_generation': 'packages are read from a disk that is not written',
}

/**
 * The options with what `oz_overrides` says; options that are given themselves hold. `told` are settings that have no
 * effect, with the reason. Fails with REQUEST_INVALID.
 */
export function applyOzOverrides(options: InstallerOptions): {
  options: InstallerOptions
  told: string[]
} {
  const { oz_overrides: given, ...rest } = options
  if (given === undefined) return { options: rest, told: [] }
  const told: string[] = []
  let found: InstallerOptions = {}
  for (const [section, settings] of Object.entries(toSections(given)))
    for (const [name, value] of Object.entries(settings)) {
      const key = `${section}.${name}`
      const option = KNOWN[key]?.(asText(value, key))
      if (option === undefined)
        told.push(
          `oz_overrides: ${key} has no effect: ${MEANINGLESS[key] ?? MEANINGLESS[section] ?? 'Ingot has no such setting'}`,
        )
      else
        found = {
          ...found,
          ...option,
          ...(option.timeouts && { timeouts: { ...found.timeouts, ...option.timeouts } }),
        }
    }
  const timeouts = { ...found.timeouts, ...rest.timeouts }
  return { options: { ...found, ...rest, timeouts }, told }
}

function toSections(given: string | Overrides): Readonly<Record<string, Overrides>> {
  const parsed = typeof given === 'string' ? parse(given) : given
  const sections: Record<string, Overrides> = {}
  for (const [section, settings] of Object.entries(parsed)) {
    if (!isObject(settings)) throw invalid(`${section} is no section`)
    sections[section] = settings
  }
  return sections
}

function parse(text: string): Overrides {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw invalid('it is not JSON', error)
  }
  if (!isObject(value)) throw invalid('it is no object of sections')
  return value
}

function isObject(value: unknown): value is Overrides {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asText(value: unknown, key: string): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value)
  throw invalid(`${key} is neither a text nor a number`)
}

function toNumber(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw invalid(`'${text}' is no number`)
  return number
}

function isYes(text: string): boolean {
  return /^(?:yes|true|1|on)$/i.test(text)
}

function invalid(why: string, cause?: unknown): Failure {
  return new Failure('REQUEST_INVALID', `oz_overrides: ${why}`, { cause })
}
