/**
 * Packing: the same work on copies of one image by Ingot, virt-customize and Sahara; then once more
 * on the packed image, where nothing is left to do.
 */
import { rm, writeFile } from 'node:fs/promises'
import { findProgram, runTool } from '../src/base/process.ts'
import { copyImage, demandRoot, demandState, findBaseImage, INGOT, openPlace, readRuns, workFile } from './place.ts' // prettier-ignore
import { atMost, printBars, printHeading, printSeries, timesFaster, within } from './report.ts'
import { makeSaharaContender } from './sahara-peer.ts'
import { type Absent, type Contender, costOf, runSeries } from './series.ts'

const SANDBOX = 'ingot pack --via sandbox --trusted'
const APPLIANCE = 'ingot pack --via appliance'
const WARM = 'ingot pack --via appliance, packages in the cache'
const VIRT_CUSTOMIZE = 'virt-customize'
const SAHARA = 'sahara-image-pack'
const CONF = 'greeting=hello\ndistro=debian\n'

const runs = readRuns()
demandRoot()
await using place = await openPlace()
const base = await findBaseImage()
const image = place.at('image.qcow2')

const cache = place.at('cache')
const sandbox = ['--via', 'sandbox', '--trusted']
const appliance = ['--via', 'appliance']

function ingot(name: string, words: readonly string[], from: string): Contender {
  return {
    name,
    prepare: () => copyImage(from, image),
    argv: [INGOT, 'pack', workFile('work.yaml'), '--image', image, ...words],
    env: { INGOT_CACHE_DIR: cache },
    check: () => demandState('work.yaml', image),
  }
}

/** With nothing in the cache; what it puts there is left for the next contender. */
function withEmptyCache(contender: Contender): Contender {
  return {
    ...contender,
    prepare: async () => {
      await rm(cache, { recursive: true, force: true })
      await contender.prepare?.()
    },
  }
}

async function makeVirtCustomize(): Promise<Contender | Absent> {
  const name = VIRT_CUSTOMIZE
  if (!findProgram(name)) return { name, why: 'it is not installed; run bench/setup' }
  await writeFile(place.at('app.conf'), CONF)
  return {
    name,
    prepare: () => copyImage(base, image),
    argv: [
      name, '--quiet', '--format', 'qcow2', '--add', image, '--install', 'jq,tree',
      '--mkdir', '/etc/bench', '--upload', `${place.at('app.conf')}:/etc/bench/app.conf`,
      '--run', workFile('note.sh'),
    ],
    check: () => demandState('work.yaml', image),
  } // prettier-ignore
}

/** libguestfs makes its appliance once per machine; nobody's first run shall pay for that. */
async function warmUp(): Promise<void> {
  if (!findProgram('guestfish')) return
  process.stderr.write('starting the appliance, once\n')
  const env = { ...process.env, LIBGUESTFS_BACKEND: 'direct' } as Record<string, string>
  const settings = { LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' }
  await runTool(['guestfish', '--add', '/dev/null', 'run'], { env: { ...env, ...settings } })
}

printHeading('Packing', `bench/pack.ts --runs ${runs}`)
await warmUp()
const first = await runSeries(
  [
    withEmptyCache(ingot(SANDBOX, sandbox, base)),
    withEmptyCache(ingot(APPLIANCE, appliance, base)),
    ingot(WARM, appliance, base),
    await makeVirtCustomize(),
    makeSaharaContender({
      name: SAHARA,
      directory: place.at('sahara'),
      image: base,
      check: (packed) => demandState('work.yaml', packed),
    }),
  ],
  runs,
)
printSeries('Two packages, a file and a script, on a clean image', first)

const packed = place.at('packed.qcow2')
await copyImage(base, packed)
await runTool([INGOT, 'pack', workFile('work.yaml'), '--image', packed, ...sandbox])
const again = await runSeries(
  [
    ingot(`${SANDBOX}, again`, sandbox, packed),
    makeSaharaContender({ name: `${SAHARA}, again`, directory: place.at('sahara'), image: packed }),
  ],
  runs,
)
printSeries('The same on the packed image', again)
await rm(packed)

const [ours, byAppliance] = [costOf(first, SANDBOX), costOf(first, APPLIANCE)]
const theirs = costOf(first, VIRT_CUSTOMIZE)
process.exitCode = printBars([
  timesFaster('by the sandbox, against virt-customize', ours, theirs, 12),
  timesFaster('by the sandbox, against Sahara', ours, costOf(first, SAHARA), 12),
  atMost('by the appliance, in parts of virt-customize', byAppliance, theirs, 0.7),
  within('by the sandbox, again', costOf(again, `${SANDBOX}, again`), 3),
])
