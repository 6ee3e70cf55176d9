// Which rows a product computes, and from which rows of its argument: a specialization constant.
#ifndef BX_PARAMS_PRODUCT_ROWS_H
#define BX_PARAMS_PRODUCT_ROWS_H

#define BX_ROWS_OF_TOKENS 0u        // row r from row r, for each row of the step
#define BX_ROWS_OF_SEGMENTS 1u      // row r from row r, for each segment of the step
#define BX_ROWS_LAST_OF_SEGMENT 2u  // row g from the last row of segment g

#endif
