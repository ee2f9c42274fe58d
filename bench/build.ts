/**
 * Building: a set of packages to a bootable image by Ingot, to a tar file by mmdebstrap alone, and
 * to an image by other builders of Debian's. Each run fetches its packages anew.
 */
import { writeFile } from 'node:fs/promises'
import { runTool } from '../src/base/process.ts'
import { chooseSources } from '../src/factory/bootstrap/choose-sources.ts'
import { formatSources, readHostApt } from '../src/guests/apt-sources.ts'
import type { BaseKey } from '../src/recipes/base-schema.ts'
import { makeBuilders } from './builders.ts'
import { demandRoot, INGOT, openPlace, readRuns, workFile } from './place.ts'
import { atMost, printBars, printHeading, printSeries } from './report.ts'
import { costOf, runSeries } from './series.ts'

const OURS = 'ingot build'
const MMDEBSTRAP = 'mmdebstrap, to a tar file'

interface Plan {
  plan: { base: BaseKey }
  packages: string[]
}

const runs = readRuns()
demandRoot()
await using place = await openPlace()
const recipe = workFile('base.yaml')
const told = await runTool([INGOT, 'build', recipe, '--plan', '--json'])
const { plan, packages } = JSON.parse(told.toString()) as Plan
const chosen = chooseSources(plan.base, await readHostApt())
const mirror = chosen.sources[0]?.uris[0] ?? ''
const sources = place.at('debian.sources')
await writeFile(sources, formatSources(chosen.sources, chosen.keys))

printHeading('Building', `bench/build.ts --runs ${runs}`)
const series = await runSeries(
  [
    {
      name: OURS,
      argv: [INGOT, 'build', recipe, '--output', place.at('disk.qcow2')],
      env: { INGOT_CACHE_DIR: place.at('cache') },
      leftovers: ['cache', 'disk.qcow2', 'disk.manifest.json', 'disk.spdx.json'].map(place.at),
    },
    {
      name: MMDEBSTRAP,
      argv: [
        'mmdebstrap', '--variant=minbase', `--include=${packages.join(',')}`,
        plan.base.release, place.at('root.tar'), sources,
      ],
      leftovers: [place.at('root.tar')],
    },
    ...makeBuilders({ release: plan.base.release, mirror, packages }, place.at('')),
  ],
  runs,
) // prettier-ignore
printSeries(`Debian 12 with ${packages.length} packages and what they need`, series)

const ours = costOf(series, OURS)
process.exitCode = printBars([
  atMost('in parts of mmdebstrap alone', ours, costOf(series, MMDEBSTRAP), 1.3),
  ...series.rows.slice(2).map(({ name, cost }) => atMost(`in parts of ${name}`, ours, cost, 1)),
])
