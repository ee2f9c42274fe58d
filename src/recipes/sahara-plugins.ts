/**
 * The image recipes of OpenStack Sahara's plugins, found where the plugins keep them:
 *
 *     plugins/NAME/resources/images/image.yaml           one recipe for all versions
 *     plugins/NAME/v5_7_0/resources/images/image.yaml    one for each version: 5.7.0
 *
 * The recipe's directory is where its scripts are looked for, as each plugin has it.
 * Source: `images.py` in sahara-plugin-spark, -ambari, -cdh, -mapr.
 */
import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { asFileFailure, Failure, systemCode } from '../base/failure.ts'
import { didYouMean } from '../schema/find-faults.ts'

export interface SaharaVersion {
  version: string
  /** The recipe's file. */
  recipe: string
}

export interface SaharaPlugin {
  name: string
  directory: string
  versions: readonly SaharaVersion[]
  /** Its one recipe, when nothing but the plugin's Python code says which versions there are. */
  anyVersion: string | undefined
}

export interface FoundPlugins {
  /** Sorted by name. */
  plugins: readonly SaharaPlugin[]
  /** What the user should know: paths without plugins, plugins found twice. */
  notes: readonly string[]
}

const RECIPE = 'resources/images/image.yaml'
/** What `get_versions` of the published plugins gives for their one recipe. */
const PUBLISHED_VERSIONS: Readonly<Record<string, readonly string[]>> = {
  spark: ['2.3', '2.2'],
  ambari: ['2.6', '2.5', '2.4', '2.3'],
  mapr: ['5.2.0.mrv2'],
}

/**
 * The plugins in these directories. Each may be a plugin, a directory of plugins, or a checkout or
 * installed package that has `plugins` within; of two with the same name the first one counts.
 * Fails with FILE_NOT_FOUND when a directory is not there.
 */
export async function findSaharaPlugins(paths: readonly string[]): Promise<FoundPlugins> {
  const plugins = new Map<string, SaharaPlugin>()
  const notes: string[] = []
  for (const path of paths) {
    const found = await findBelow(path)
    if (found.length === 0)
      notes.push(`${path}: no plugin with image recipes (NAME/${RECIPE}) was found here`)
    for (const plugin of found) {
      const earlier = plugins.get(plugin.name)
      if (!earlier) plugins.set(plugin.name, plugin)
      else if (earlier.directory !== plugin.directory)
        notes.push(`${plugin.directory}: left out, '${plugin.name}' is in ${earlier.directory} too`)
    }
  }
  return { plugins: [...plugins.values()].sort((a, b) => compare(a.name, b.name)), notes }
}

/** The recipe of a plugin's version. Fails with USAGE, naming those there are. */
export function recipeOfVersion(plugin: SaharaPlugin, version: string): string {
  const found = plugin.versions.find((one) => one.version === version)?.recipe ?? plugin.anyVersion
  if (found !== undefined) return found
  const names = plugin.versions.map((one) => one.version)
  throw new Failure(
    'USAGE',
    `${plugin.name} has no version '${version}'${didYouMean(version, names) || `; it has ${names.join(', ')}`}`,
  )
}

async function findBelow(path: string): Promise<SaharaPlugin[]> {
  const root = resolve(path)
  try {
    if (!(await stat(root)).isDirectory())
      throw new Failure('FILE_NOT_FOUND', `${path} is not a directory`, { details: { path } })
  } catch (error) {
    throw asFileFailure(error, path)
  }
  const own = await readPlugin(root)
  if (own) return [own]
  const inner = await directoriesIn(root)
  const places = [root, join(root, 'plugins'), ...inner.map((one) => join(one, 'plugins'))]
  const candidates = (await Promise.all(places.map(directoriesIn))).flat()
  const found = await Promise.all([...new Set(candidates)].map(readPlugin))
  return found.filter((plugin) => plugin !== undefined)
}

async function readPlugin(directory: string): Promise<SaharaPlugin | undefined> {
  const name = basename(directory)
  const own = await directoriesIn(directory)
  const versions: SaharaVersion[] = []
  for (const inner of own.filter((one) => /^v\d/.test(basename(one)))) {
    const recipe = join(inner, RECIPE)
    if (await isFile(recipe)) versions.push({ version: toVersion(basename(inner)), recipe })
  }
  const shared = join(directory, RECIPE)
  const hasShared = await isFile(shared)
  if (versions.length === 0 && !hasShared) return undefined
  const published = Object.hasOwn(PUBLISHED_VERSIONS, name) ? PUBLISHED_VERSIONS[name] : undefined
  if (hasShared)
    for (const version of published ?? [])
      if (!versions.some((one) => one.version === version))
        versions.push({ version, recipe: shared })
  return {
    name,
    directory,
    versions: versions.sort((a, b) => compare(b.version, a.version)),
    anyVersion: hasShared && !published ? shared : undefined,
  }
}

/** `v5_2_0_mrv2` as `5.2.0.mrv2`. */
function toVersion(directory: string): string {
  return directory.slice(1).replaceAll('_', '.')
}

/** Directories within, not hidden; none if it cannot be read. */
async function directoriesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    const names = entries
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && entry.name[0] !== '.')
      .map((entry) => join(directory, entry.name))
    return names.sort(compare)
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return []
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

/** Numbers in names by their value: 5.9.0 before 5.13.0. */
function compare(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}
