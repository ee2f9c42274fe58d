import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

/** A directory for the tests of one file, gone when they are done. Called at the top of the file. */
export async function tempDir(): Promise<(name: string) => string> {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-test-'))
  after(() => rm(directory, { recursive: true, force: true }))
  return (name) => join(directory, name)
}
