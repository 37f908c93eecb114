/** What a file under recipes/ exports; the file's name is the recipe's. */
export interface Recipe {
  /** The options, as they follow the name. */
  usage: string;
  /** Reads its arguments, makes the runs that are missing, and prints a table. */
  run(args: string[]): Promise<void>;
}
