/** What distribution matching admits. */
export const names = [
  "reverse-kl",
  "forward-kl",
  "jensen-shannon",
  "squared-hellinger",
  "jeffreys",
  "softened-reverse-kl",
  "softened-forward-kl",
  "alpha:0.5",
  "alpha:0.3",
  "neyman-chi2",
  "pearson-chi2",
];
