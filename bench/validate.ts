/** Validating a packed image, starting the command, and the memory that Ingot itself takes. */
import { chmod, mkdir } from 'node:fs/promises'
import { runTool } from '../src/base/process.ts'
import { copyImage, demandRoot, findBaseImage, INGOT, openPlace, readRuns, workFile } from './place.ts' // prettier-ignore
import { type Command, measure, measureOwnPeak } from './measure.ts'
import { type Bar, printBars, printHeading, printSeries, within } from './report.ts'
import { makeSaharaContender } from './sahara-peer.ts'
import { type Contender, costOf, runSeries } from './series.ts'

const READ = 'ingot validate, by reading, as nobody'
const SANDBOX = 'ingot validate --via sandbox --trusted'
const HELP = 'ingot --help'
const MAX_MEMORY = 150e6
/** Starts take milliseconds; they can be had more often. */
const STARTS_PER_RUN = 5

const runs = readRuns()
demandRoot()
await using place = await openPlace()
const image = place.at('packed.qcow2')
const base = await findBaseImage()
await copyImage(base, image)
const sandbox = ['--via', 'sandbox', '--trusted']
const pack = ['pack', workFile('work.yaml'), '--image', image, ...sandbox]
await runTool([INGOT, ...pack])
await chmod(image, 0o644)

// What Node keeps of compiled sources is the user's own, and nobody has no home.
const home = place.at('home-of-nobody')
await mkdir(home)
await chmod(home, 0o777)
const nobody = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', '--']
const check = ['validate', workFile('check.yaml'), '--image', image]

const byReading: Contender = {
  name: READ,
  argv: [...nobody, INGOT, ...check],
  env: { HOME: home },
}

async function memoryBar(what: string, command: Command): Promise<Bar> {
  const bytes = await measureOwnPeak(command)
  const found = `${(bytes / 1e6).toFixed(0)} MB`
  const met = bytes > 0 && bytes < MAX_MEMORY
  return { what: `memory of the ingot process: ${what}`, wanted: '150 MB', found, met }
}

printHeading('Validating and starting', `bench/validate.ts --runs ${runs}`)
await measure(byReading) // the first start compiles
const validating = await runSeries(
  [
    byReading,
    { name: SANDBOX, argv: [INGOT, ...check, ...sandbox] },
    makeSaharaContender({
      name: 'sahara-image-pack --test-only',
      directory: place.at('sahara'),
      image,
      testOnly: true,
    }),
  ],
  runs,
)
printSeries('Packages, files, a user, a group and a service of a packed image', validating)
const starting = await runSeries(
  [
    { name: HELP, argv: [INGOT, '--help'] },
    { name: 'node with nothing to do', argv: [process.execPath, '--eval', '0'] },
  ],
  runs * STARTS_PER_RUN,
)
printSeries('The start of the command', starting)

process.exitCode = printBars([
  within('validate by reading, without root', costOf(validating, READ), 0.5),
  within('validate by the sandbox', costOf(validating, SANDBOX), 3),
  within('ingot --help', costOf(starting, HELP), 0.15),
  await memoryBar('validate by reading', byReading),
  await memoryBar('pack by the sandbox', { argv: [INGOT, ...pack] }),
  await memoryBar('build', {
    argv: [INGOT, 'build', workFile('base.yaml'), '--output', place.at('built.qcow2')],
  }),
])
