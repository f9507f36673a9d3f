# SPDX-License-Identifier: BSD-2-Clause
# Draws nanoseconds per instruction as bars. Usage: gnuplot -e "table='FILE'; svg='FILE'" plot.gp
# table: a line for each corpus, a column for each contestant, names in the first line and column.
set terminal svg size 900,420 font "sans-serif,12" background rgb "white"
set output svg
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 border -1
set boxwidth 0.9
set grid ytics
set ylabel "nanoseconds per instruction"
set yrange [0:*]
set key top left
columns = int(system(sprintf("head -n 1 '%s' | wc -w", table)))
plot for [i = 2:columns] table using i:xtic(1) title columnheader(i)
