/**
 * rpm's database where it is an SQLite file (Fedora since 33, RHEL and its kin since 9), read
 * without rpm. Older Berkeley databases and SUSE's `ndb` are left to the guest's own rpm.
 */
import { DatabaseSync } from 'node:sqlite'
import { MiB } from '../base/units.ts'
import type { Remote } from '../remotes/remote.ts'
import { parseRpmHeader } from './_rpm-header.ts'
import type { InstalledPackage } from './package-manager.ts'

/** Source: rpm's `%_dbpath`; `/usr/lib/sysimage/rpm` since Fedora 36 and in SUSE. */
const PLACES = ['/var/lib/rpm/rpmdb.sqlite', '/usr/lib/sysimage/rpm/rpmdb.sqlite']
const MAX_DATABASE = 128 * MiB
const MAX_PACKAGES = 50_000
const MAX_HEADER = 32 * MiB
/** As rpm makes it. A hostile schema could be a view that never ends, so nothing else is asked. */
const TABLE =
  /^CREATE TABLE '?"?Packages'?"? ?\(\s*hnum INTEGER PRIMARY KEY AUTOINCREMENT,\s*blob BLOB NOT NULL\s*\)$/i

/** Installed packages; undefined if the guest's database is of another kind, or unfinished. */
export async function readRpmDatabase(remote: Remote): Promise<InstalledPackage[] | undefined> {
  for (const path of PLACES) {
    const stat = await remote.stat(path)
    if (stat?.type !== 'file' || stat.size > MAX_DATABASE) continue
    // Changes that a program left in the log when it died are not in the file yet.
    if (((await remote.stat(`${path}-wal`))?.size ?? 0) > 0) return undefined
    const content = await remote.readFile(path, MAX_DATABASE)
    if (content) return parseRpmDatabase(content)
  }
  return undefined
}

/** Packages of a database; undefined if it is none of rpm's or damaged. */
export function parseRpmDatabase(content: Uint8Array): InstalledPackage[] | undefined {
  if (content.length < 100) return undefined
  // SQLite opens a file in memory only without a log: bytes 18 and 19 say which kind it is.
  const copy = Buffer.from(content).fill(1, 18, 20)
  using database = new DatabaseSync(':memory:', { limits: { length: MAX_HEADER } })
  try {
    database.deserialize(copy)
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON')
    const table = database
      .prepare("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'Packages' LIMIT 1")
      .get()
    if (typeof table?.['sql'] !== 'string' || !TABLE.test(table['sql'])) return undefined
    const packages: InstalledPackage[] = []
    const rows = database.prepare(`SELECT blob FROM Packages LIMIT ${MAX_PACKAGES}`)
    for (const { blob } of rows.iterate()) {
      const found = blob instanceof Uint8Array ? parseRpmHeader(blob) : undefined
      if (found) packages.push(found)
    }
    return packages
  } catch {
    return undefined // damaged: the guest's own rpm will say how
  }
}
