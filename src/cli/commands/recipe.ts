import { builtinValidators, validatorMap } from '../../app/builtin.ts'
import type { Command } from 'commander'
import { tellFaults } from '../_faults.ts'
import type { CommandModule, OpenCli } from '../cli.ts'

/** `ingot recipe check|show|schema`: everything about recipes that needs no image. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command.usage('check|show|schema')
  defineCheck(command, openCli)
  defineShow(command, openCli)
  command
    .command('schema')
    .description('print the JSON Schema of recipes, by which editors complete and check')
    .exitOverride()
    .action(async () => {
      const { recipeJsonSchema } = await import('../../recipes/json-schema.ts')
      openCli(command).print(JSON.stringify(recipeJsonSchema(builtinValidators), undefined, 2))
    })
}

function defineCheck(command: Command, openCli: OpenCli): void {
  command
    .command('check')
    .argument('<recipe...>', 'recipes, YAML files')
    .description('say everything that is wrong with recipes, each fault with its place')
    .option('--strict', 'let warnings count as errors')
    .exitOverride()
    .action(async (files: string[], { strict }: { strict?: boolean }) => {
      const cli = openCli(command)
      const { inspectRecipe } = await import('../../recipes/read-recipe.ts')
      const validators = validatorMap()
      const inspected = await Promise.all(files.map((file) => inspectRecipe(file, { validators })))
      const faults = inspected.flatMap((one) => one.faults)
      cli.exit(tellFaults(cli, files, faults, strict))
    })
}

function defineShow(command: Command, openCli: OpenCli): void {
  command
    .command('show')
    .argument('<recipe>', 'the recipe, a YAML file')
    .description("show a recipe's arguments and steps, and what each flow would do")
    .exitOverride()
    .action(async (file: string) => {
      const cli = openCli(command)
      const { readRecipe } = await import('../../recipes/read-recipe.ts')
      const { describeRecipe } = await import('../../recipes/describe-recipe.ts')
      const { formatRecipe } = await import('../_describe-recipe.ts')
      const recipe = describeRecipe(await readRecipe(file, { validators: validatorMap() }))
      const colours = cli.terminal
      cli.print(cli.json ? JSON.stringify(recipe) : formatRecipe(recipe, { colours }))
    })
}
