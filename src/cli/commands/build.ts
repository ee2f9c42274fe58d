import { proxiesFromEnvironment } from '../../app/config.ts'
import { guestUplink } from '../../app/guest-uplink.ts'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../base/units.ts'
import type { BuiltImage } from '../../factory/bootstrap/run-build.ts'
import { resolveArguments } from '../../recipes/argument-values.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import { addRecipeOptions, readRecipeInput } from '../_recipe-options.ts'
import { exitCodeOf, formatReport } from '../_report.ts'
import { readVersion } from '../_version.ts'
import type { Cli, CommandModule } from '../cli.ts'

interface BuildFlags {
  output?: string
  size?: string
  stepTimeout?: string
  plan?: boolean
  report?: string
}

const HELP = `
Needs no root where the kernel gives user namespaces. Beside the image appear its manifest (.manifest.json)
and its bill of materials (.spdx.json); until all three are whole, none of them does. Of the same recipe
and the same packages the image is the same, byte for byte (with ext4).`

/** `ingot build RECIPE`: makes a bootable image out of nothing. */
export const define: CommandModule['define'] = async (command, argv, openCli) => {
  command
    .usage('RECIPE [--output FILE] [--size SIZE] [arguments of the recipe]')
    .argument('<recipe>', 'the recipe, a YAML file with the key `base`')
    .option(
      '--output <file>',
      'where the image goes: .qcow2, or .raw or .img (default: the name of the recipe, .qcow2)',
    )
    .option('--size <size>', 'size of the disk, such as 4G; instead of what the recipe says')
    .option('--step-timeout <time>', 'how long one command of a step may take, such as 90s or 10m')
    .option('--plan', 'say what would be done, and do nothing')
    .option('--report <file>', 'write the report to a file, .json or .xml (JUnit)')
    .addHelpText('after', HELP)
  await addRecipeOptions(command, argv)
  command.action(async (file: string, flags: BuildFlags) => {
    const cli = openCli(command)
    const { recipe, values } = await readRecipeInput(file, command)
    if (flags.plan) {
      await printBuildPlan(recipe, flags, values, cli)
      return
    }
    const { runBuild } = await import('../../factory/bootstrap/run-build.ts')
    const { config } = cli.configuration
    const proxies = proxiesFromEnvironment()
    const { report, image } = await runBuild(
      recipe,
      {
        ...toPlanOptions(recipe, flags),
        values,
        cacheDir: config.cache_dir,
        commandTimeoutMs:
          flags.stepTimeout === undefined
            ? config.command_timeout_s * 1000
            : parseDuration(flags.stepTimeout),
        proxies,
        uplink: guestUplink(config, proxies),
        version: await readVersion(),
      },
      cli.context,
    )
    if (flags.report !== undefined) {
      const { writeReports } = await import('../../recipes/write-report.ts')
      await writeReports(flags.report, [report])
    }
    print(cli, image === undefined ? { report } : { report, image })
    cli.exit(exitCodeOf([report]))
  })
}

function toPlanOptions(recipe: Recipe, { output, size }: BuildFlags) {
  return {
    output: output ?? `${recipe.name}.qcow2`,
    size: size === undefined ? undefined : parseSize(size),
  }
}

/** What the image would be made of, then what the recipe would do in it. */
async function printBuildPlan(
  recipe: Recipe,
  flags: BuildFlags,
  values: ReadonlyMap<string, string>,
  cli: Cli,
): Promise<void> {
  const [{ planBuild }, { choosePackages }, { describeRecipe }, { formatRecipe }] =
    await Promise.all([
      import('../../factory/bootstrap/build-plan.ts'),
      import('../../factory/bootstrap/base-packages.ts'),
      import('../../recipes/describe-recipe.ts'),
      import('../_describe-recipe.ts'),
    ])
  const options = toPlanOptions(recipe, flags)
  const plan = planBuild(recipe, { ...options, values })
  const packages = choosePackages(plan.base, plan.fileSystem)
  const description = describeRecipe(recipe, resolveArguments(recipe.args, values))
  if (cli.json) {
    cli.print(
      JSON.stringify({ flow: 'build', output: options.output, plan, packages, ...description }),
    )
    return
  }
  const { distro, release, variant = 'minbase' } = plan.base
  cli.print(
    [
      `image     ${options.output}`,
      `base      ${distro} ${release} (${variant}) with ${packages.join(' ')}`,
      `disk      ${formatSize(plan.diskSize)}, ${plan.fileSystem}, boots by ${plan.boot.join(' and ')}`,
      '',
      formatRecipe(description, { colours: cli.terminal, flows: ['pack'] }),
    ].join('\n'),
  )
}

type Result = Awaited<ReturnType<typeof import('../../factory/bootstrap/run-build.ts').runBuild>>

function print(cli: Cli, result: Result): void {
  if (cli.json) cli.print(JSON.stringify(result))
  else {
    cli.print(formatReport(result.report, cli.terminal))
    if (result.image) cli.print(formatImage(result.image))
  }
}

/** Where the image is, what it is, and where the time went. */
function formatImage(image: BuiltImage): string {
  const phases = image.phases.map(({ name, durationMs }) => `${name} ${formatDuration(durationMs)}`)
  return [
    `image     ${image.path}`,
    `          ${formatSize(image.size)} (${image.format}), disk of ${formatSize(image.virtualSize)}, ${image.packages} packages`,
    `sha256    ${image.sha256}`,
    `manifest  ${image.manifestPath}`,
    `SBOM      ${image.sbomPath}`,
    `time      ${phases.join(', ')}`,
  ].join('\n')
}
