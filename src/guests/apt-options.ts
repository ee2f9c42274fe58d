/** How this host's apt goes to the network, for an apt that works on another tree. */
import { findProgram, runProcess } from '../base/process.ts'

/** A mirror that does not answer costs a minute, not an hour. */
const PATIENCE = [
  'Acquire::Retries "2"',
  'Acquire::http::Timeout "20"',
  'Acquire::https::Timeout "20"',
]

/** Settings for another apt: this host's proxies, and how long to wait. */
export async function readAptOptions(): Promise<string[]> {
  if (findProgram('apt-config') === undefined) return PATIENCE
  const dump = await runProcess(['apt-config', 'dump'])
  return [...PATIENCE, ...parseProxySettings(dump.stdout.toString())]
}

/**
 * The settings of proxies out of `apt-config dump`: one for all, those for single hosts, and
 * programs that find one. Source: apt-transport-http(1).
 */
function parseProxySettings(dump: string): string[] {
  return dump.split('\n').flatMap((line) => {
    const match = /^(Acquire::https?::Proxy(?:-Auto-Detect|::[\w.:-]+)?) "([^"\n]+)";$/i.exec(line)
    return match ? [`${match[1]} "${match[2]}"`] : []
  })
}

/** Addresses of all proxies among such settings, those for single hosts too. */
export function toProxies(settings: readonly string[]): string[] {
  return settings.flatMap((setting) => {
    const value = /^Acquire::https?::Proxy(?:::\S+)? "(.+)"$/i.exec(setting)?.[1]
    return value === undefined || value === 'DIRECT' ? [] : [value]
  })
}

/** The proxy for everything among such settings, as programs other than apt take it. */
export function toProxyEnvironment(settings: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    settings.flatMap((setting) => {
      const match = /^Acquire::(https?)::Proxy "(.+)"$/i.exec(setting)
      if (match?.[1] === undefined || match[2] === undefined || match[2] === 'DIRECT') return []
      return [[`${match[1].toLowerCase()}_proxy`, match[2]]]
    }),
  )
}
