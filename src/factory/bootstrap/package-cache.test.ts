import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { tempDir } from '../../testing/temp-dir.ts'
import { keepPackages } from './package-cache.ts'

const at = await tempDir()
const archives = at('archives')
const cache = at('cache')
await mkdir(join(archives, 'partial'), { recursive: true })
await mkdir(cache)

async function lay(directory: string, name: string, year: number): Promise<void> {
  await writeFile(join(directory, name), `${name} of ${year}`)
  await utimes(join(directory, name), 0, new Date(`${year}-01-01`))
}

describe('the cache of packages', () => {
  it('takes what was downloaded, and of each package keeps the newest', async () => {
    await lay(cache, 'old_1.0_amd64.deb', 2024)
    await lay(cache, 'other_1.0_amd64.deb', 2024)
    await lay(archives, 'old_1%3a2.0_amd64.deb', 2025)
    await lay(archives, 'old_2.0_all.deb', 2023)
    await lay(archives, 'other_0.9_amd64.deb', 2020)
    await writeFile(join(archives, 'lock'), '')
    await keepPackages(archives, cache)
    assert.deepEqual((await readdir(archives)).toSorted(), ['lock', 'partial'])
    assert.deepEqual((await readdir(cache)).toSorted(), [
      'old_1%3a2.0_amd64.deb',
      'old_2.0_all.deb',
      'other_1.0_amd64.deb',
    ])
    assert.equal(await readFile(join(cache, 'old_2.0_all.deb'), 'utf8'), 'old_2.0_all.deb of 2023')
  })

  it('takes the same package again', async () => {
    await lay(archives, 'other_1.0_amd64.deb', 2024)
    await keepPackages(archives, cache)
    assert.equal((await readdir(cache)).length, 3)
  })
})
