/** Every subcommand: the table that the help, the completions and `main.ts` go by. */
import type { CommandModule } from './cli.ts'

interface Entry {
  name: string
  summary: string
  load: () => Promise<CommandModule>
}

/** Every subcommand, in the order of the help. */
export const COMMANDS: readonly Entry[] = [
  {
    name: 'build',
    summary: 'build a golden image from a recipe',
    load: () => import('./commands/build.ts'),
  },
  {
    name: 'pack',
    summary: 'change an image file as a recipe says, offline',
    load: () => import('./commands/pack.ts'),
  },
  {
    name: 'validate',
    summary: 'check an image or running hosts against a recipe; change nothing',
    load: () => import('./commands/validate.ts'),
  },
  {
    name: 'provision',
    summary: 'bring running hosts to the state of a recipe, over SSH',
    load: () => import('./commands/provision.ts'),
  },
  {
    name: 'inspect',
    summary: 'say what images are, and whether they are safe to open',
    load: () => import('./commands/inspect.ts'),
  },
  {
    name: 'convert',
    summary: 'make an image of one format of an image of any other',
    load: () => import('./commands/convert.ts'),
  },
  {
    name: 'boot-test',
    summary: 'boot an image in QEMU and see that it works',
    load: () => import('./commands/boot-test.ts'),
  },
  {
    name: 'serve',
    summary: 'run the image service: OpenStack’s Image API, every format of every image',
    load: () => import('./commands/serve.ts'),
  },
  {
    name: 'image',
    summary: 'list, create, import and save images, here or in a cloud',
    load: () => import('./commands/image.ts'),
  },
  {
    name: 'factory',
    summary: 'build base images, fit them to clouds, and push them there',
    load: () => import('./commands/factory.ts'),
  },
  {
    name: 'token',
    summary: 'make a token for those who call the image service',
    load: () => import('./commands/token.ts'),
  },
  {
    name: 'view',
    summary: 'serve an image over HTTP in every format, with no conversion',
    load: () => import('./commands/view.ts'),
  },
  {
    name: 'nbd',
    summary: 'offer the disk inside an image to QEMU and other NBD clients',
    load: () => import('./commands/nbd.ts'),
  },
  {
    name: 'map',
    summary: 'draw what stands where on the disk of an image',
    load: () => import('./commands/map.ts'),
  },
  {
    name: 'recipe',
    summary: 'check, show or describe the language of recipes',
    load: () => import('./commands/recipe.ts'),
  },
  {
    name: 'tdl',
    summary: 'check templates of Oz and Image Factory, or show them as recipes',
    load: () => import('./commands/tdl.ts'),
  },
  {
    name: 'doctor',
    summary: 'say what this host can do and what it lacks',
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'config',
    summary: 'show the settings that are in force',
    load: () => import('./commands/config.ts'),
  },
  {
    name: 'completion',
    summary: 'print shell completions for bash, zsh or fish',
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'imagefactory',
    summary: 'the command line of Image Factory',
    load: () => import('./commands/imagefactory.ts'),
  },
  {
    name: 'sahara-image-pack',
    summary: 'the command line of OpenStack Sahara’s image packer',
    load: () => import('./commands/sahara-image-pack.ts'),
  },
]
