import { homedir, tmpdir } from 'node:os'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'

/** Whether `path` is `root` or below it, after `..` is resolved (symbolic links are not followed). */
export function isInside(root: string, path: string): boolean {
  const way = relative(resolve(root), resolve(path))
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way))
}

/** The user's cache directory for Ingot (XDG base directories). */
export function defaultCacheDir(env: NodeJS.ProcessEnv): string {
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ingot')
}

/** The user's directory for data of Ingot that must not be lost (XDG base directories); for root the system's. */
export function defaultDataDir(env: NodeJS.ProcessEnv): string {
  if (env['XDG_DATA_HOME']) return join(env['XDG_DATA_HOME'], 'ingot')
  return process.getuid?.() === 0 ? '/var/lib/ingot' : join(homedir(), '.local', 'share', 'ingot')
}

/** The directory for temporary files. */
export function defaultTempDir(): string {
  return tmpdir()
}
